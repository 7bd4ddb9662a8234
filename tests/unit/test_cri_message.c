// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "node/cri_message.h"

/* --- messages, written as protobuf says --- */

static void put_number(struct buf *b, uint64_t v)
{
	for (; v >= 0x80; v >>= 7)
		buf_add_char(b, (char)(v | 0x80));
	buf_add_char(b, (char)v);
}

static void put_bytes(struct buf *b, unsigned field, struct span bytes)
{
	put_number(b, field << 3 | 2);
	put_number(b, bytes.len);
	buf_add_span(b, bytes);
}

static void put_text(struct buf *b, unsigned field, const char *text)
{
	put_bytes(b, field, span_str(text));
}

static void put_varint(struct buf *b, unsigned field, uint64_t v)
{
	put_number(b, field << 3);
	put_number(b, v);
}

static void put_entry(struct buf *b, unsigned field, const char *key, const char *value)
{
	AUTO_BUF entry = {0};

	put_text(&entry, 1, key);
	put_text(&entry, 2, value);
	put_bytes(b, field, buf_span(&entry));
}

static void put_metadata(struct buf *b)
{
	AUTO_BUF m = {0};

	put_text(&m, 1, "web-7d4");
	put_text(&m, 2, "2c48913c-b29f-11e7-9350-020968147796");
	put_text(&m, 3, "shop");
	put_varint(&m, 4, 1);
	put_bytes(b, 2, buf_span(&m));
}

static void put_network(struct buf *b)
{
	AUTO_BUF network = {0};
	AUTO_BUF more = {0};

	put_text(&network, 1, "10.1.2.3");
	put_text(&more, 1, "fd00::5");
	put_bytes(&network, 2, buf_span(&more));
	put_bytes(b, 5, buf_span(&network));
}

static void put_network_of_node(struct buf *b)
{
	AUTO_BUF options = {0};
	AUTO_BUF namespaces = {0};
	AUTO_BUF linux_status = {0};

	put_varint(&options, 1, 2);
	put_bytes(&namespaces, 2, buf_span(&options));
	put_bytes(&linux_status, 1, buf_span(&namespaces));
	put_bytes(b, 6, buf_span(&linux_status));
}

static void put_status(struct buf *out, bool is_host_network, const char *info)
{
	AUTO_BUF status = {0};

	put_text(&status, 1, "5a0d0b");
	put_metadata(&status);
	put_varint(&status, 4, 1700000000000000001);
	put_network(&status);
	if (is_host_network)
		put_network_of_node(&status);
	put_entry(&status, 7, "io.kubernetes.pod.name", "web-7d4");
	put_entry(&status, 7, "tier", "front");
	put_entry(&status, 7, "app", "web");
	put_entry(&status, 8, "tapeloop.dev/record", "false");
	put_text(&status, 99, "a field of the future");
	put_bytes(out, 1, buf_span(&status));
	if (info)
		put_entry(out, 2, "info", info);
}

static const char spec[] = "{\"pid\":4711,\"runtimeSpec\":{\"linux\":{\"namespaces\":[{\"type\":\"pid\"},"
			   "{\"type\":\"network\",\"path\":\"/var/run/netns/cni-1\"}]}}}";

static const struct cri_pod *read_it(const struct buf *b)
{
	const struct cri_pod *pod = NULL;
	struct err e;

	assert_int_equal(cri_read_status(buf_span(b), &pod, &e), 0);
	return pod;
}

static void a_status_says_who_and_where_it_is(void **state)
{
	static const uint8_t four[16] = {[10] = 0xff, [11] = 0xff, 10, 1, 2, 3}, six[16] = {0xfd, [15] = 5};
	AUTO_BUF b = {0};
	const struct cri_pod *pod;

	(void)state;
	put_status(&b, false, spec);
	pod = read_it(&b);
	assert_true(span_eq(pod->who.name_space, SPAN_LIT("shop")));
	assert_true(span_eq(pod->who.pod, SPAN_LIT("web-7d4")));
	assert_true(span_eq(pod->who.pod_uid, SPAN_LIT("2c48913c-b29f-11e7-9350-020968147796")));
	assert_true(span_eq(pod->who.labels, SPAN_LIT("{\"app\":\"web\",\"tier\":\"front\"}")));
	assert_true(span_eq(pod->annotations, SPAN_LIT("{\"tapeloop.dev/record\":\"false\"}")));
	assert_int_equal(pod->who.source, IDENTITY_RUNTIME);
	assert_string_equal(pod->sandbox_id, "5a0d0b");
	assert_string_equal(pod->netns_path, "/var/run/netns/cni-1");
	assert_int_equal(pod->pid, 4711);
	assert_true(pod->is_ready);
	assert_false(pod->is_host_network);
	assert_int_equal(pod->created_ns, 1700000000000000001);
	assert_int_equal(pod->address_count, 2);
	assert_memory_equal(pod->addresses[0], four, 16);
	assert_memory_equal(pod->addresses[1], six, 16);
	cri_pod_unref(pod);
}

static void what_the_specification_does_not_say_is_not_known(void **state)
{
	static const char *const infos[] = {
		NULL, "", "no JSON", "[]", "{\"pid\":\"4\"}", "{\"pid\":-1,\"runtimeSpec\":[]}",
		"{\"runtimeSpec\":{\"linux\":{\"namespaces\":[{\"type\":\"network\"},7,{\"path\":\"/x\"}]}}}",
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(infos); i++) {
		AUTO_BUF b = {0};
		const struct cri_pod *pod;

		put_status(&b, true, infos[i]);
		pod = read_it(&b);
		assert_int_equal(pod->pid, 0);
		assert_string_equal(pod->netns_path, "");
		assert_true(pod->is_host_network);
		cri_pod_unref(pod);
	}
}

static void a_status_cut_anywhere_is_refused_or_read_as_far_as_it_goes(void **state)
{
	AUTO_BUF b = {0};

	(void)state;
	put_status(&b, false, spec);
	for (size_t len = 0; len < b.len; len++) {
		uint8_t *copy = malloc(len + 1); /* as long as it is: a reader that goes on is seen */
		const struct cri_pod *pod = NULL;
		struct err e;

		memcpy(copy, b.ptr, len);
		if (cri_read_status(span_of(copy, len), &pod, &e) < 0)
			assert_null(pod);
		cri_pod_unref(pod);
		free(copy);
	}
}

struct seen {
	char text[256];
	int stop_at, count;
};

static int note(void *ctx, const struct cri_listed *one)
{
	struct seen *s = ctx;
	size_t len = strlen(s->text);

	(void)snprintf(s->text + len, sizeof(s->text) - len, "%.*s%s ", (int)one->id.len, (const char *)one->id.ptr,
		       one->is_ready ? "" : "!");
	return ++s->count == s->stop_at ? -ECANCELED : 0;
}

static void a_list_names_sandboxes_ready_or_not(void **state)
{
	struct seen seen = {0}, stopped = {.stop_at = 1};
	AUTO_BUF list = {0};

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		AUTO_BUF item = {0};

		put_text(&item, 1, i == 2 ? "" : i ? "two" : "one");
		put_metadata(&item);
		if (i)
			put_varint(&item, 3, 1);
		put_bytes(&list, 1, buf_span(&item));
	}
	assert_int_equal(cri_read_list(buf_span(&list), note, &seen), 0);
	assert_string_equal(seen.text, "one two! "); /* without an id it cannot be asked for */
	assert_int_equal(cri_read_list(buf_span(&list), note, &stopped), -ECANCELED);
	assert_string_equal(stopped.text, "one ");
	assert_int_equal(cri_read_list(SPAN_LIT("\x0a\xff"), note, &seen), -EBADMSG);
}

static void a_request_names_the_sandbox_and_wants_all(void **state)
{
	AUTO_BUF b = {0};

	(void)state;
	cri_write_status_request(SPAN_LIT("abc"), &b);
	assert_int_equal(b.len, 7);
	assert_memory_equal(b.ptr, "\x0a\x03"
				   "abc\x10\x01",
			    7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_status_says_who_and_where_it_is),
		cmocka_unit_test(what_the_specification_does_not_say_is_not_known),
		cmocka_unit_test(a_status_cut_anywhere_is_refused_or_read_as_far_as_it_goes),
		cmocka_unit_test(a_list_names_sandboxes_ready_or_not),
		cmocka_unit_test(a_request_names_the_sandbox_and_wants_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
