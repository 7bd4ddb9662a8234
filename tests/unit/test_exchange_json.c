// SPDX-License-Identifier: Apache-2.0
#include "schema/exchange_json.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "schema/child.h"
#include "schema/fields.h"

/* a fixed sequence of numbers: what fails once fails again */
static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* some bytes from @pool: text, octets of any value, or nothing */
static struct span some_bytes(uint64_t *seed, uint8_t *pool, size_t max)
{
	size_t len = next_random(seed) % (max + 1);
	bool is_text = next_random(seed) % 2;

	if (next_random(seed) % 5 == 0 || len == 0)
		return (struct span){0};
	for (size_t i = 0; i < len; i++)
		pool[i] = is_text ? (uint8_t)(' ' + next_random(seed) % 95)
				  : (uint8_t)next_random(seed);
	return span_of(pool, len);
}

#define MEMBER_MAX 300

struct fixture {
	struct exchange x;
	uint8_t bytes[40][MEMBER_MAX];
};

static void fill_message(struct message *m, uint64_t *seed, uint8_t (*pool)[MEMBER_MAX])
{
	m->head = some_bytes(seed, pool[0], MEMBER_MAX);
	m->body = some_bytes(seed, pool[1], MEMBER_MAX);
	m->framing = some_bytes(seed, pool[2], 40);
	m->trailers = some_bytes(seed, pool[3], 40);
	m->content_type = some_bytes(seed, pool[4], 20);
	m->body_bytes = next_random(seed) >> 1;
	m->first_ns = next_random(seed) % (9223372035 * NS_PER_S);
	m->last_ns = next_random(seed) % 2 ? 0 : m->first_ns + next_random(seed) % NS_PER_S;
	m->server_first_ns = next_random(seed) % 2 ? 0 : m->first_ns + 1000;
	m->server_last_ns = m->server_first_ns ? m->server_first_ns + 5 : 0;
	m->flags = (uint32_t)(next_random(seed) % (1 << MESSAGE_FLAG_COUNT));
	m->version = (uint8_t)next_random(seed);
}

static void fill_endpoint(struct endpoint *e, uint64_t *seed, uint8_t (*pool)[MEMBER_MAX])
{
	e->port = (uint16_t)next_random(seed);
	e->is_ipv4 = next_random(seed) % 2;
	for (size_t i = e->is_ipv4 ? 12 : 0; i < 16; i++)
		e->address[i] = (uint8_t)next_random(seed);
	if (e->is_ipv4)
		e->address[10] = e->address[11] = 0xff;
	e->who.service = some_bytes(seed, pool[0], 30);
	e->who.name_space = some_bytes(seed, pool[1], 30);
	e->who.pod = some_bytes(seed, pool[2], 30);
	e->who.workload = some_bytes(seed, pool[3], 30);
	e->who.node = some_bytes(seed, pool[4], 30);
}

static void fill(struct fixture *f, uint64_t *seed)
{
	struct exchange *x = &f->x;

	*x = (struct exchange){0};
	x->id = next_random(seed) >> 1;
	x->start_ns = next_random(seed) % (9223372035 * NS_PER_S);
	x->connection = next_random(seed);
	x->sequence = (uint32_t)next_random(seed);
	x->status = (uint16_t)next_random(seed);
	x->protocol = (uint8_t)(next_random(seed) % PROTOCOL_COUNT);
	x->outcome = (uint8_t)(next_random(seed) % OUTCOME_COUNT);
	x->reason = (uint8_t)(next_random(seed) % REASON_COUNT);
	x->anomalies = next_random(seed) & ((UINT64_C(1) << ANOMALY_COUNT) - 1);
	fill_endpoint(&x->src, seed, f->bytes);
	fill_endpoint(&x->dst, seed, f->bytes + 5);
	x->method = some_bytes(seed, f->bytes[10], 10);
	x->target = some_bytes(seed, f->bytes[11], MEMBER_MAX);
	x->host = some_bytes(seed, f->bytes[12], 40);
	x->path = some_bytes(seed, f->bytes[13], MEMBER_MAX);
	x->route = some_bytes(seed, f->bytes[14], 40);
	x->trace_id = some_bytes(seed, f->bytes[15], 32);
	x->replay_of = some_bytes(seed, f->bytes[16], 32);
	fill_message(&x->request, seed, f->bytes + 20);
	fill_message(&x->response, seed, f->bytes + 30);
}

static const char *write_json(struct buf *out, const struct exchange *x,
			      enum exchange_json_part part)
{
	struct json j = json_to(out);

	buf_clear(out);
	exchange_to_json(&j, x, part);
	assert_false(out->is_failed);
	return buf_cstr(out);
}

static void assert_same_message(const struct message *a, const struct message *b)
{
	assert_true(span_eq(a->head, b->head));
	assert_true(span_eq(a->body, b->body));
	assert_true(span_eq(a->framing, b->framing));
	assert_true(span_eq(a->trailers, b->trailers));
	assert_true(a->body_bytes == b->body_bytes);
	assert_true(a->first_ns == b->first_ns);
	assert_true(a->last_ns == b->last_ns);
	assert_true(a->server_first_ns == b->server_first_ns);
	assert_true(a->server_last_ns == b->server_last_ns);
	assert_int_equal(a->flags, b->flags);
	assert_int_equal(a->version, b->version);
}

static void assert_same_fields(const struct exchange *a, const struct exchange *b)
{
	for (int i = 0; i < FIELD_COUNT; i++) {
		struct field_value va = field_get(a, (enum field)i);
		struct field_value vb = field_get(b, (enum field)i);

		if (!span_eq(va.text, vb.text) || va.number != vb.number)
			fail_msg("field %s differs", field_rows[i].name);
	}
	assert_memory_equal(a->src.address, b->src.address, 16);
	assert_memory_equal(a->dst.address, b->dst.address, 16);
	assert_int_equal(a->src.is_ipv4, b->src.is_ipv4);
}

static void the_exact_part_gives_every_byte_back(void **state)
{
	static struct fixture f;
	uint64_t seed = 20261122;
	AUTO_BUF text = {0};

	(void)state;
	for (int round = 0; round < 500; round++) {
		struct exchange back;
		struct err e = {0};
		void *memory = NULL;

		fill(&f, &seed);
		(void)write_json(&text, &f.x, EXCHANGE_JSON_EXACT);
		if (exchange_from_json(buf_span(&text), &back, &memory, &e) < 0)
			fail_msg("round %d: %s", round, e.why);
		assert_same_fields(&f.x, &back);
		assert_same_message(&f.x.request, &back.request);
		assert_same_message(&f.x.response, &back.response);
		free(memory);
	}
}

static const char request_head[] = "POST /cart?a=\"1\" HTTP/1.1\r\nHost: shop\r\nX-A:  two \r\n"
				   "no colon\r\nx-a: three\r\n\r\n";
static const char response_head[] = "HTTP/1.1 503 Nope\r\nContent-Type: text/plain\r\n\r\n";

static struct exchange example(void)
{
	struct exchange x = {
		.id = 1764000000123456789,
		.start_ns = 1764000000123456789,
		.connection = 5,
		.status = 503,
		.protocol = PROTOCOL_HTTP1,
		.outcome = OUTCOME_SERVER_ERROR,
		.anomalies = ANOMALY_BIT(REDACTED),
		.src = {.is_ipv4 = true, .port = 4711, .address = {[10] = 255, 255, 10, 0, 0, 1}},
		.dst = {.is_ipv4 = true, .port = 80, .address = {[10] = 255, 255, 10, 0, 0, 2}},
		.method = SPAN_LIT("POST"),
		.target = SPAN_LIT("/cart?a=\"1\""),
		.path = SPAN_LIT("/cart"),
	};

	x.dst.who.service = SPAN_LIT("cart");
	x.request = (struct message){.head = span_str(request_head), .version = 11};
	x.request.flags = MESSAGE_PRESENT | MESSAGE_COMPLETE;
	x.request.first_ns = x.start_ns;
	x.response = (struct message){.head = span_str(response_head), .version = 11};
	x.response.flags = MESSAGE_PRESENT;
	x.response.body = SPAN_LIT("out of stock\n");
	x.response.body_bytes = 13;
	x.response.last_ns = x.start_ns + 2500;
	return x;
}

static void the_summary_nests_what_has_a_dot_in_its_name(void **state)
{
	struct exchange x = example();
	AUTO_BUF text = {0};

	(void)state;
	assert_string_equal(
		write_json(&text, &x, EXCHANGE_JSON_SUMMARY),
		"{\"id\":\"1GYQWMXQJBK8N\",\"time\":\"2025-11-24T16:00:00.123456789Z\","
		"\"latency_ns\":2500,\"protocol\":\"http1\",\"method\":\"POST\","
		"\"target\":\"/cart?a=\\\"1\\\"\",\"path\":\"/cart\",\"route\":\"\",\"host\":\"\","
		"\"status\":503,\"outcome\":\"server_error\",\"reason\":\"none\",\"error\":\"\","
		"\"src\":{\"ip\":\"10.0.0.1\",\"port\":4711,\"service\":\"\",\"namespace\":\"\","
		"\"pod\":\"\",\"workload\":\"\",\"node\":\"\"},"
		"\"dst\":{\"ip\":\"10.0.0.2\",\"port\":80,\"service\":\"cart\",\"namespace\":\"\","
		"\"pod\":\"\",\"workload\":\"\",\"node\":\"\"},"
		"\"request\":{\"size\":0,\"type\":\"\"},\"response\":{\"size\":13,\"type\":\"\"},"
		"\"trace_id\":\"\",\"connection\":\"0000000000005\",\"sequence\":0,"
		"\"anomalies\":[\"redacted\"],\"replay\":\"\"}");
}

static void a_summary_still_tells_how_long_it_took(void **state)
{
	struct exchange x = example(), back;
	AUTO_BUF text = {0};
	void *memory;

	(void)state;
	(void)write_json(&text, &x, EXCHANGE_JSON_SUMMARY);
	assert_int_equal(exchange_from_json(buf_span(&text), &back, &memory, NULL), 0);
	assert_int_equal(exchange_latency_ns(&back), 2500);
	free(memory);
}

static void the_messages_part_shows_headers_in_order_and_text_as_text(void **state)
{
	struct exchange x = example();
	AUTO_BUF text = {0};
	const char *json = write_json(&text, &x, EXCHANGE_JSON_MESSAGES);

	(void)state;
	assert_non_null(strstr(json, "\"headers\":[{\"name\":\"Host\",\"value\":\"shop\"},"
				     "{\"name\":\"X-A\",\"value\":\"two\"},"
				     "{\"name\":\"\",\"value\":\"no colon\"},"
				     "{\"name\":\"x-a\",\"value\":\"three\"}]"));
	assert_non_null(strstr(json, "\"body\":\"out of stock\\n\""));
	assert_non_null(strstr(json, "\"version\":\"1.1\""));
	assert_non_null(strstr(json, "\"flags\":[\"present\",\"complete\"]"));
	x.response.body = SPAN_LIT("\xff\x00");
	assert_non_null(
		strstr(write_json(&text, &x, EXCHANGE_JSON_MESSAGES), "\"body_base64\":\"/wA=\""));
}

/* {"note":"out of stock"} */
#define ZIPPED                                                                                     \
	"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xab\x56\xca\xcb\x2f\x49\x55\xb2\x52\xca\x2f\x2d\x51"      \
	"\xc8\x4f\x53\x28\x2e\xc9\x4f\xce\x56\xaa\x05\x00\x22\xf3\x14\x92\x17\x00\x00\x00"

static void an_encoded_body_comes_decoded_beside_its_octets(void **state)
{
	static const struct {
		const char *coding, *body, *has, *has_not;
		size_t len;
	} cases[] = {
		{"gzip", ZIPPED, "\"decoded\":\"{\\\"note\\\":\\\"out of stock\\\"}\"", "decoding_error",
		 sizeof(ZIPPED) - 1},
		{"gzip", ZIPPED, "\"decoding_error\":\"", "decoded_base64", 30},
		{"gzip", ZIPPED, "\"decoded\":\"{\\\"note", "decoded_base64", 30},
		{"rot13", "bhg", "\"body\":\"bhg\",\"decoding_error\":\"content coding rot13 is not known\"",
		 "\"decoded\"", 3},
		{"identity", "out", "\"body\":\"out\"", "deco", 3},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct exchange x = {0};
		AUTO_BUF head = {0};
		AUTO_BUF text = {0};
		struct json j = json_to(&text);

		buf_add_fmt(&head, "HTTP/1.1 200 OK\r\nContent-Encoding: %s\r\n\r\n", cases[i].coding);
		x.response = (struct message){.head = buf_span(&head), .flags = MESSAGE_PRESENT};
		x.response.body = span_of(cases[i].body, cases[i].len);
		exchange_to_json(&j, &x, EXCHANGE_JSON_MESSAGES);
		if (!strstr(buf_cstr(&text), cases[i].has) || strstr(buf_cstr(&text), cases[i].has_not))
			fail_msg("case %zu: %s", i, buf_cstr(&text));
	}
}

/* RFC 7692 7.2.3.1 and 7.2.3.2: "Hello" twice, the second refers to the first */
static void compressed_websocket_messages_come_decoded(void **state)
{
	const struct span payloads[] = {SPAN_LIT("\xf2\x48\xcd\xc9\xc9\x07\x00"),
					       SPAN_LIT("\xf2\x00\x11\x00\x00")};
	struct exchange x = {.protocol = PROTOCOL_WEBSOCKET};
	AUTO_BUF row = {0};
	AUTO_BUF text = {0};
	struct json j = json_to(&text);
	const char *first;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(payloads); i++) {
		struct child c = {.kind = CHILD_WS_TEXT, .is_compressed = true, .payload = payloads[i],
				  .bytes = payloads[i].len};
		uint8_t head[CHILD_HEAD_BYTES];

		child_encode_head(&c, head);
		buf_add(&row, head, sizeof(head));
		buf_add_span(&row, payloads[i]);
	}
	x.children = buf_span(&row);
	x.response.head = SPAN_LIT("HTTP/1.1 101 X\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n");
	exchange_to_json(&j, &x, EXCHANGE_JSON_MESSAGES);
	first = strstr(buf_cstr(&text), "\"decoded\":\"Hello\"");
	assert_non_null(first);
	assert_non_null(strstr(first + 1, "\"decoded\":\"Hello\""));
}

static void what_would_steer_a_terminal_is_escaped(void **state)
{
	struct exchange x = example();
	AUTO_BUF text = {0};

	(void)state;
	x.host = SPAN_LIT("a\xc2\x9b"
			  "b\xe2\x80\xae\xf3\xa0\x81\x81\177\xc3\xa4");
	assert_non_null(strstr(write_json(&text, &x, EXCHANGE_JSON_SUMMARY),
			       "\"host\":\"a\\u009bb\\u202e\\udb40\\udc41\\u007f\xc3\xa4\""));
}

static void the_messages_part_gives_an_equal_message_back(void **state)
{
	struct exchange x = example(), back;
	AUTO_BUF text = {0};
	void *memory;

	(void)state;
	(void)write_json(&text, &x, EXCHANGE_JSON_MESSAGES);
	assert_int_equal(exchange_from_json(buf_span(&text), &back, &memory, NULL), 0);
	assert_true(span_eq(message_header(&back.request, "x-a"), SPAN_LIT("two")));
	assert_true(span_eq(back.response.head, span_str(response_head)));
	assert_true(span_eq(back.response.body, x.response.body));
	free(memory);
}

static void what_is_no_exchange_is_refused_by_name(void **state)
{
	static const struct {
		const char *text, *why;
	} cases[] = {
		{"", "line 1"},
		{"[]", "not an object"},
		{"{\"status\":\"x\"}", "\"status\""},
		{"{\"status\":65536}", "\"status\""},
		{"{\"id\":\"ABC\"}", "\"id\""},
		{"{\"time\":\"yesterday\"}", "\"time\""},
		{"{\"outcome\":\"fine\"}", "\"outcome\""},
		{"{\"anomalies\":[\"none_such\"]}", "\"anomalies\""},
		{"{\"anomalies\":7}", "\"anomalies\""},
		{"{\"src\":{\"ip\":\"10.0.0\"}}", "\"src.ip\""},
		{"{\"dst\":{\"port\":-1}}", "\"dst.port\""},
		{"{\"method\":1}", "\"method\""},
		{"{\"request\":{\"head_base64\":\"ab=c\"}}", "\"request.head_base64\""},
		{"{\"request\":{\"head_base64\":\"abc\"}}", "\"request.head_base64\""},
		{"{\"request\":{\"head_base64\":1}}", "\"request.head_base64\""},
		{"{\"response\":{\"version\":\"11\"}}", "\"response.version\""},
		{"{\"response\":{\"flags\":[1]}}", "\"response.flags\""},
		{"{\"octets_base64\":{\"target\":\"!\"}}", "\"target\""},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct exchange x;
		struct err e = {0};
		void *memory = NULL;

		assert_int_equal(exchange_from_json(span_str(cases[i].text), &x, &memory, &e),
				 -EINVAL);
		assert_null(memory);
		if (!strstr(e.why, cases[i].why))
			fail_msg("%s: says %s", cases[i].text, e.why);
	}
}

static void damaged_text_is_refused_or_read_but_never_trusted(void **state)
{
	static struct fixture f;
	uint64_t seed = 7;
	AUTO_BUF text = {0};
	size_t read_count = 0;

	(void)state;
	for (int round = 0; round < 2000; round++) {
		struct exchange back;
		void *memory = NULL;

		if (round % 100 == 0)
			fill(&f, &seed);
		(void)write_json(&text, &f.x, (enum exchange_json_part)(round % 3));
		if (round % 2)
			text.len = next_random(&seed) % text.len;
		else
			text.ptr[next_random(&seed) % text.len] = (uint8_t)next_random(&seed);
		if (exchange_from_json(buf_span(&text), &back, &memory, NULL) == 0)
			read_count++;
		free(memory);
	}
	assert_in_range(read_count, 1, 1999);
}

static void rows_of_one_object_stand_together_in_the_table(void **state)
{
	(void)state;
	for (int i = 1; i < FIELD_COUNT; i++) {
		const char *name = field_rows[i].name;
		const char *dot = strchr(name, '.');
		size_t len = dot ? (size_t)(dot - name) + 1 : 0;

		if (!dot || strncmp(field_rows[i - 1].name, name, len) == 0)
			continue;
		for (int k = 0; k < i; k++)
			if (strncmp(field_rows[k].name, name, len) == 0)
				fail_msg("%s stands apart from %s", name, field_rows[k].name);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_exact_part_gives_every_byte_back),
		cmocka_unit_test(the_summary_nests_what_has_a_dot_in_its_name),
		cmocka_unit_test(a_summary_still_tells_how_long_it_took),
		cmocka_unit_test(the_messages_part_shows_headers_in_order_and_text_as_text),
		cmocka_unit_test(an_encoded_body_comes_decoded_beside_its_octets),
		cmocka_unit_test(compressed_websocket_messages_come_decoded),
		cmocka_unit_test(what_would_steer_a_terminal_is_escaped),
		cmocka_unit_test(the_messages_part_gives_an_equal_message_back),
		cmocka_unit_test(what_is_no_exchange_is_refused_by_name),
		cmocka_unit_test(damaged_text_is_refused_or_read_but_never_trusted),
		cmocka_unit_test(rows_of_one_object_stand_together_in_the_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
