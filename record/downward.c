// SPDX-License-Identifier: Apache-2.0
#include "record/downward.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "record/netns.h"
#include "schema/labels.h"

/*
 * Theory of operation. Kubernetes, Downward API: fields of the pod as environment variables, which
 * are fixed when the container starts, and as files of a volume, which the kubelet writes anew when
 * labels or annotations change. The files hold one key="value" a line, the value as Go's %q writes
 * it: \", \\, \n, \t, \xNN, \uNNNN, \UNNNNNNNN and the like.
 *
 * Whoever is at an address of this network namespace is this pod: its containers share it. That
 * holds for the loopback addresses, too, where a mesh's proxy talks to the application.
 *
 * Of the annotations only our own are kept: others are large, and theirs who wrote them.
 */
#define FILE_MAX      ((size_t)512 << 10) /* octets; Kubernetes allows 256 KiB of annotations */
#define ANNOTATION_US "tapeloop.dev/"

/* the code point after \x, \u or \U with @digits digits; -1 if there are not so many */
static int32_t take_hex(struct span *s, unsigned digits)
{
	int32_t v = 0;

	for (; digits; digits--) {
		int c = s->len ? tolower(s->ptr[0]) : 0;

		if (!isxdigit(c) || v > INT32_MAX >> 4)
			return -1;
		v = v << 4 | (c <= '9' ? c - '0' : c - 'a' + 10);
		*s = span_from(*s, 1);
	}
	return v;
}

static void add_utf8(struct buf *out, uint32_t c)
{
	static const struct {
		uint32_t below;
		unsigned more;
		uint8_t lead;
	} forms[] = {{0x80, 0, 0}, {0x800, 1, 0xc0}, {0x10000, 2, 0xe0}, {0x110000, 3, 0xf0}};
	size_t i = 0;

	while (c >= forms[i].below)
		i++;
	buf_add_char(out, (char)(forms[i].lead | c >> 6 * forms[i].more));
	for (unsigned n = forms[i].more; n; n--)
		buf_add_char(out, (char)(0x80 | (c >> 6 * (n - 1) & 0x3f)));
}

/* what stands behind a backslash */
static int take_escape(struct span *s, struct buf *out)
{
	static const char from[] = "abfnrtv\\\"'", to[] = "\a\b\f\n\r\t\v\\\"'";
	const char *simple = s->len && s->ptr[0] ? strchr(from, s->ptr[0]) : NULL;
	unsigned digits = s->len ? (s->ptr[0] == 'x'   ? 2
				    : s->ptr[0] == 'u' ? 4
				    : s->ptr[0] == 'U' ? 8
						       : 0)
				 : 0;
	int32_t c;

	if (s->len)
		*s = span_from(*s, 1);
	if (simple) {
		buf_add_char(out, to[simple - from]);
		return 0;
	}
	c = digits ? take_hex(s, digits) : -1;
	if (c < 0 || c > 0x10ffff)
		return -EBADMSG;
	if (digits == 2)
		buf_add_char(out, (char)c); /* a byte, of what is no UTF-8 */
	else
		add_utf8(out, (uint32_t)c);
	return 0;
}

/* "value" with its quotes; @s moves behind it */
static int take_quoted(struct span *s, struct buf *out)
{
	if (s->len == 0 || s->ptr[0] != '"')
		return -EBADMSG;
	*s = span_from(*s, 1);
	while (s->len && s->ptr[0] != '"') {
		uint8_t c = s->ptr[0];
		int failed = 0;

		*s = span_from(*s, 1);
		if (c == '\\')
			failed = take_escape(s, out);
		else
			buf_add_char(out, (char)c);
		if (failed < 0)
			return failed;
	}
	if (s->len == 0)
		return -EBADMSG;
	*s = span_from(*s, 1);
	return out->is_failed ? -ENOMEM : 0;
}

static int take_line(struct span *s, json_t *object)
{
	const uint8_t *equals = memchr(s->ptr, '=', s->len);
	struct span key = {s->ptr, equals ? (size_t)(equals - s->ptr) : 0};
	AUTO_BUF value = {0};
	int failed;

	if (key.len == 0 || memchr(key.ptr, '\0', key.len))
		return -EBADMSG;
	*s = span_from(*s, key.len + 1);
	failed = take_quoted(s, &value);
	if (failed < 0)
		return failed;
	if (s->len && s->ptr[0] != '\n')
		return -EBADMSG;
	*s = span_from(*s, s->len ? 1 : 0);
	/* -1 is no memory, or no UTF-8: Kubernetes has nothing else */
	return json_object_setn_new(object, (const char *)key.ptr, key.len,
				    json_stringn(buf_cstr(&value), value.len)) < 0
		       ? -EBADMSG
		       : 0;
}

static int parse(struct span text, labels_wants_fn *wants, struct buf *out)
{
	json_t *object = json_object();
	int failed = object ? 0 : -ENOMEM;

	while (failed == 0 && text.len)
		failed = take_line(&text, object);
	if (failed == 0)
		(void)labels_from_json(object, wants, NULL, out); /* what is too much is left out */
	json_decref(object);
	return failed < 0 ? failed : out->is_failed ? -ENOMEM : 0;
}

int downward_parse(struct span text, struct buf *out)
{
	return parse(text, NULL, out);
}

static bool is_ours(void *ctx, struct span key)
{
	(void)ctx;
	return span_istarts(key, SPAN_LIT(ANNOTATION_US));
}

static int read_file(const char *path, struct buf *out)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = -1;

	if (fd < 0)
		return -errno;
	while (out->len < FILE_MAX && buf_reserve(out, 4096) &&
	       (n = read(fd, out->ptr + out->len, 4096)) > 0)
		out->len += (size_t)n;
	(void)close(fd);
	return n == 0 ? 0 : -EBADMSG;
}

static int read_map(const char *dir, const char *name, labels_wants_fn *wants, struct buf *out,
		    struct err *e)
{
	AUTO_BUF path = {0}, text = {0};
	int failed;

	buf_add_fmt(&path, "%s/%s", dir, name);
	failed = read_file(buf_cstr(&path), &text);
	if (failed == -ENOENT)
		return 0;
	if (failed == 0)
		failed = parse(buf_span(&text), wants, out);
	return failed < 0 ? err_set(e, failed, "%s: %s", buf_cstr(&path),
				    failed == -EBADMSG ? "expected lines of key=\"value\""
						       : strerror(-failed))
			  : 0;
}

static struct span variable(const char *name)
{
	const char *value = getenv(name);

	return value ? span_str(value) : (struct span){0};
}

struct adding {
	struct identities *to;
	const struct identity *who;
	int failed;
};

static void add_address(void *ctx, const uint8_t address[16])
{
	struct adding *a = ctx;

	if (a->failed == 0)
		a->failed = identities_add(a->to, address, 128, a->who);
}

static int add_all(struct identities *i, const struct identity *who)
{
	static const uint8_t loopback_v4[16] = {[10] = 0xff, [11] = 0xff, [12] = 127};
	static const uint8_t loopback_v6[16] = {[15] = 1};
	struct adding a = {i, who, 0};
	int failed = netns_addresses(add_address, &a);

	if (failed == 0)
		failed = a.failed;
	if (failed == 0)
		failed = identities_add(i, loopback_v4, 96 + 8, who);
	return failed < 0 ? failed : identities_add(i, loopback_v6, 128, who);
}

int downward_identify(struct identities *i, const char *dir, struct err *e)
{
	AUTO_BUF labels = {0}, annotations = {0};
	struct identity who = {
		.pod = variable("POD_NAME"),
		.name_space = variable("POD_NAMESPACE"),
		.pod_uid = variable("POD_UID"),
		.node = variable("NODE_NAME"),
		.workload = variable("WORKLOAD_NAME"),
		.workload_kind = variable("WORKLOAD_KIND"),
		.source = IDENTITY_DOWNWARD,
		.certainty = CERTAINTY_CERTAIN,
	};
	int failed;

	if (who.pod.len == 0)
		return err_set(e, -EINVAL,
			       "kube.downward %s: POD_NAME is not in the environment: the pod's "
			       "manifest sets it from metadata.name",
			       dir);
	failed = read_map(dir, "labels", NULL, &labels, e);
	if (failed == 0)
		failed = read_map(dir, "annotations", is_ours, &annotations, e);
	if (failed < 0)
		return failed;
	who.labels = buf_span(&labels);
	who.annotations = buf_span(&annotations);
	failed = add_all(i, &who);
	return failed < 0 ? err_set(e, failed, "kube.downward: %s", strerror(-failed)) : 0;
}
