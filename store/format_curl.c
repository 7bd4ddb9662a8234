// SPDX-License-Identifier: Apache-2.0
/*
 * Theory of operation
 *
 * curl sends what it is told, and then some: each header of its own that the recording has not is
 * switched off by an empty -H 'Name:'. Pseudo-header fields of HTTP/2 are what the command says in
 * its own way. A target that curl's URL parser would rewrite goes in by
 * --request-target instead. HEAD needs --head, for -X HEAD would wait for a body.
 *
 * Quoting is for any POSIX shell: single quotes, in which nothing is special. A body that holds
 * what cannot stand in an argument (NUL), must not reach a terminal (controls) or is too long for
 * one argument comes as base64 in a here-document. Header values with such bytes are rare; they use
 * $'\NNN' and a comment says which shells know it. Two values would be read by curl as the name of
 * a file: a header line that begins with @ is left out with a comment, and bodies go by --data-raw.
 */
#include "store/format_curl.h"

#include "lib/json.h"
#include "lib/utf8.h"

#define ARGUMENT_MAX 65536 /* Linux takes 128 KiB for one argument */
#define BASE64_LINE  76

static bool is_visible(struct span s, bool may_break)
{
	while (s.len) {
		size_t n = utf8_len(s.ptr, s.len);
		bool is_break = s.ptr[0] == '\n' || s.ptr[0] == '\t';

		if (n == 0 || (utf8_width(utf8_rune(s.ptr, n)) < 0 && !(may_break && is_break)))
			return false;
		s = span_from(s, n);
	}
	return true;
}

static void single_quoted(struct buf *out, struct span s)
{
	buf_add_char(out, '\'');
	for (size_t i = 0; i < s.len; i++) {
		if (s.ptr[i] == '\'')
			buf_add_str(out, "'\\''");
		else
			buf_add_char(out, (char)s.ptr[i]);
	}
	buf_add_char(out, '\'');
}

void format_shell_word(struct buf *out, struct span s)
{
	if (is_visible(s, false)) {
		single_quoted(out, s);
		return;
	}
	buf_add_str(out, "$'");
	for (size_t i = 0; i < s.len; i++) {
		uint8_t c = s.ptr[i];

		if (c == '\'' || c == '\\')
			buf_add_fmt(out, "\\%c", c);
		else if (c >= 0x20 && c < 0x7f)
			buf_add_char(out, (char)c);
		else
			/* octal: three digits at most, so that what follows is no part of it */
			buf_add_fmt(out, "\\%03o", c);
	}
	buf_add_char(out, '\'');
}

/* What is being written: comments stand before the command, a here-document behind it. */
struct command {
	const struct exchange *x;
	struct buf comments, line, document;
	bool needs_bash;
};

static void add_word(struct command *c, const char *option, struct span s)
{
	buf_add_fmt(&c->line, " \\\n  %s ", option);
	c->needs_bash |= !is_visible(s, false);
	format_shell_word(&c->line, s);
}

static bool has_header(const struct message *m, const char *name)
{
	return message_header(m, name).ptr != NULL;
}

static bool has_body(const struct message *m)
{
	return m->body.len || has_header(m, "Content-Length") || (m->flags & MESSAGE_CHUNKED);
}

/* characters that curl passes on as they are */
static bool is_plain_target(struct span t)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
				    "/-._~!$&'()*+,;=:@%?";

	if (t.len == 0 || t.ptr[0] != '/' || t.ptr[t.len - 1] == '?')
		return false;
	for (size_t i = 0; i < t.len; i++)
		if (!t.ptr[i] || !strchr(plain, t.ptr[i]))
			return false;
	return true;
}

static bool has_dots(struct span t)
{
	for (size_t i = 0; i + 1 < t.len; i++)
		if (t.ptr[i] == '/' && t.ptr[i + 1] == '.')
			return true;
	return false;
}

static void add_base(struct buf *out, const struct exchange *x, const char *base)
{
	char text[ENDPOINT_TEXT_MAX];

	if (base) {
		size_t len = strlen(base);

		buf_add(out, base, len && base[len - 1] == '/' ? len - 1 : len);
		return;
	}
	buf_add_fmt(out, x->dst.is_ipv4 ? "http://%s" : "http://[%s]",
		    endpoint_text(&x->dst, text));
	if (x->dst.port != 80)
		buf_add_fmt(out, ":%u", x->dst.port);
}

static void add_target(struct command *c, const char *base)
{
	const struct exchange *x = c->x;
	AUTO_BUF url = {0};

	add_base(&url, x, base);
	buf_add_char(&c->line, ' ');
	if (is_plain_target(x->target)) {
		buf_add_span(&url, x->target);
		format_shell_word(&c->line, buf_span(&url));
		if (has_dots(x->target))
			buf_add_str(&c->line, " \\\n  --path-as-is");
		return;
	}
	buf_add_char(&url, '/');
	format_shell_word(&c->line, buf_span(&url));
	add_word(c, "--request-target", x->target);
}

static bool is_http2(const struct command *c)
{
	return c->x->request.version == 20;
}

static void add_method(struct command *c)
{
	struct span method = c->x->method;
	bool with_body = has_body(&c->x->request);

	if (span_eq(method, SPAN_LIT("HEAD")) && !with_body)
		buf_add_str(&c->line, " --head");
	else if (!span_eq(method, with_body ? SPAN_LIT("POST") : SPAN_LIT("GET")))
		add_word(c, "-X", method);
	if (c->x->request.version == 10)
		buf_add_str(&c->line, " \\\n  --http1.0");
	if (is_http2(c))
		buf_add_str(&c->line, " \\\n  --http2-prior-knowledge");
}

/* a folded line as one (RFC 9112 5.2), without its line end */
static void unfold(struct buf *out, struct span line)
{
	for (size_t i = 0; i < line.len; i++) {
		if (line.ptr[i] != '\n' && line.ptr[i] != '\r')
			buf_add_char(out, (char)line.ptr[i]);
		else if (i + 1 < line.len && line.ptr[i] == '\n')
			buf_add_char(out, ' ');
	}
}

static bool is_length_of_cut_body(const struct message *m, struct span name)
{
	return (m->flags & (MESSAGE_BODY_CUT | MESSAGE_HAS_GAP)) &&
	       span_ieq(name, SPAN_LIT("Content-Length"));
}

/* the command line says them in its own way; :authority by a Host header, which curl turns into one
 */
static void add_pseudo_header(struct command *c, const struct header_iter *it)
{
	AUTO_BUF text = {0};

	if (span_eq(it->name, SPAN_LIT(":authority"))) {
		buf_add_str(&text, "Host: ");
		buf_add_span(&text, it->value);
		add_word(c, "-H", buf_span(&text));
	} else if (span_eq(it->name, SPAN_LIT(":unknown"))) {
		buf_add_str(&c->comments,
			    "# a header line that the recorder could not read is left out\n");
	} else if (span_eq(it->name, SPAN_LIT(":protocol"))) {
		buf_add_str(&c->comments, "# extended CONNECT (RFC 8441): curl cannot send it\n");
	}
}

static void add_header(struct command *c, const struct header_iter *it)
{
	AUTO_BUF text = {0};

	if (is_length_of_cut_body(&c->x->request, it->name))
		return;
	if (is_http2(c) && it->name.len && it->name.ptr[0] == ':') {
		add_pseudo_header(c, it);
		return;
	}
	unfold(&text, it->line);
	if (it->name.len == 0 || it->line.ptr[0] == '@' || memchr(text.ptr, '\0', text.len)) {
		buf_add_str(&c->comments, "# a header line that curl cannot send is left out: ");
		format_shell_word(&c->comments, buf_span(&text));
		buf_add_char(&c->comments, '\n');
		return;
	}
	/* curl's way to say that a header has no value */
	if (it->value.len == 0) {
		buf_clear(&text);
		buf_add_span(&text, it->name);
		buf_add_char(&text, ';');
	}
	add_word(c, "-H", buf_span(&text));
}

static void add_headers(struct command *c)
{
	static const char *const own[] = {"Host", "User-Agent", "Accept"};
	static const char *const own_of_body[] = {"Content-Type", "Expect"};
	const struct message *m = &c->x->request;
	struct header_iter it = {.rest = m->head};

	while (header_next(&it))
		add_header(c, &it);
	for (size_t i = 0; i < COUNT_OF(own); i++)
		if (!has_header(m, own[i]) && !(i == 0 && has_header(m, ":authority")))
			buf_add_fmt(&c->line, " \\\n  -H '%s:'", own[i]);
	for (size_t i = 0; has_body(m) && i < COUNT_OF(own_of_body); i++)
		if (!has_header(m, own_of_body[i]))
			buf_add_fmt(&c->line, " \\\n  -H '%s:'", own_of_body[i]);
}

static void add_document(struct command *c, struct span body)
{
	AUTO_BUF text = {0};
	struct json j = json_to(&text);
	size_t len;

	json_base64(&j, body);
	len = text.len > 2 ? text.len - 2 : 0; /* without the quotes */
	for (size_t at = 0; at < len; at += BASE64_LINE) {
		buf_add(&c->document, text.ptr + 1 + at, MIN(len - at, (size_t)BASE64_LINE));
		buf_add_char(&c->document, '\n');
	}
	c->document.is_failed |= text.is_failed;
	buf_add_str(&c->document, "EOF\n");
	buf_add_str(&c->line, " \\\n  --data-binary @-");
}

static void add_body(struct command *c)
{
	const struct message *m = &c->x->request;

	if (!has_body(m))
		return;
	if (m->flags & (MESSAGE_BODY_CUT | MESSAGE_HAS_GAP))
		buf_add_fmt(&c->comments,
			    "# of a body of %llu bytes only the first %zu were kept\n",
			    (unsigned long long)m->body_bytes, m->body.len);
	if (m->body.len > ARGUMENT_MAX || !is_visible(m->body, true)) {
		add_document(c, m->body);
		return;
	}
	buf_add_str(&c->line, " \\\n  --data-raw ");
	single_quoted(&c->line, m->body);
}

/* what stands for a secret: wire/redact.h writes [tl:XXXXXXXX] */
static bool holds_tag(struct span s)
{
	return span_find(s, SPAN_LIT("[tl:")) != NULL;
}

/* which values the reader must put in: names of headers, and the target */
static void comment_masked(struct command *c)
{
	struct header_iter it = {.rest = c->x->request.head};
	const char *before = ": ";

	buf_add_str(&c->comments, "# masked when recorded, put your own in its place");
	if (holds_tag(c->x->target)) {
		buf_add_fmt(&c->comments, "%sa value in the target", before);
		before = ", ";
	}
	while (header_next(&it)) {
		if (!holds_tag(it.value) || !is_visible(it.name, false))
			continue;
		buf_add_fmt(&c->comments, "%s%.*s", before, (int)it.name.len,
			    (const char *)it.name.ptr);
		before = ", ";
	}
	buf_add_char(&c->comments, '\n');
}

static void comment(struct command *c)
{
	if (c->x->anomalies & ANOMALY_BIT(REDACTED))
		comment_masked(c);
	if (c->needs_bash)
		buf_add_str(&c->comments, "# for bash, zsh or ksh\n");
}

void format_curl(const struct exchange *x, const char *base, struct buf *out)
{
	struct command c = {.x = x};

	if (!(x->request.flags & MESSAGE_PRESENT)) {
		buf_add_str(out, "# no request was seen: nothing to send\n");
		return;
	}
	add_method(&c);
	add_target(&c, base);
	add_headers(&c);
	add_body(&c);
	comment(&c);
	buf_add_span(out, buf_span(&c.comments));
	buf_add_str(out, c.document.len ? "base64 -d <<'EOF' | curl" : "curl");
	buf_add_span(out, buf_span(&c.line));
	buf_add_char(out, '\n');
	buf_add_span(out, buf_span(&c.document));
	out->is_failed |= c.comments.is_failed || c.line.is_failed || c.document.is_failed;
	buf_fini(&c.comments);
	buf_fini(&c.line);
	buf_fini(&c.document);
}
