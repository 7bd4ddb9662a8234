// SPDX-License-Identifier: Apache-2.0
#include "store/format_har.h"

/*
 * Theory of operation. Start lines and header lines in their plain form: one blank, CRLF. Heads of
 * HTTP/2 as wire/http2_head.h has them: no reason phrase, pseudo-header fields as lines of their
 * own.
 */
struct version_row {
	unsigned version;
	const char *text;      /* how it is written */
	const char *others[5]; /* how browsers write it, any case */
};

static const struct version_row versions[] = {
	{11, "HTTP/1.1", {"1.1", "h1", "http/1.1", NULL}},
	{10, "HTTP/1.0", {"1.0", "http/1.0", NULL}},
	{20, "HTTP/2", {"h2", "http/2", "http/2.0", "h2c", NULL}},
	/* nothing here tells HTTP/3 from HTTP/2, whose fields it shares (RFC 9114 4.3) */
	{20, "HTTP/2", {"h3", "http/3", "http/3.0", "h3-29", NULL}},
	{9, "HTTP/0.9", {"0.9", "http/0.9", NULL}},
};

const char *har_version_text(unsigned version)
{
	for (size_t i = 0; i < COUNT_OF(versions); i++)
		if (versions[i].version == version)
			return versions[i].text;
	return "";
}

unsigned har_version_parse(struct span text)
{
	for (size_t i = 0; i < COUNT_OF(versions); i++)
		for (const char *const *other = versions[i].others; *other; other++)
			if (span_ieq(text, span_str(*other)))
				return versions[i].version;
	return 0;
}

void har_request_line(struct buf *out, struct span method, struct span target, unsigned version)
{
	buf_add_span(out, method);
	buf_add_char(out, ' ');
	buf_add_span(out, target);
	if (version > 9) {
		buf_add_char(out, ' ');
		buf_add_str(out, har_version_text(version));
	}
	buf_add_str(out, "\r\n");
}

void har_status_line(struct buf *out, unsigned status, struct span text, unsigned version)
{
	buf_add_fmt(out, "%s %03u", har_version_text(version), status);
	if (version != 20) {
		buf_add_char(out, ' ');
		buf_add_span(out, text);
	}
	buf_add_str(out, "\r\n");
}

void har_header_line(struct buf *out, struct span name, struct span value)
{
	buf_add_span(out, name);
	buf_add_str(out, ": ");
	buf_add_span(out, value);
	buf_add_str(out, "\r\n");
}

struct span har_target_of_url(struct span url, struct span *authority_out)
{
	const uint8_t *scheme =
		url.len ? memmem(url.ptr, MIN(url.len, (size_t)16), "://", 3) : NULL;
	struct span rest = scheme ? span_from(url, (size_t)(scheme - url.ptr) + 3) : url;
	const uint8_t *fragment;
	size_t n = 0;

	*authority_out = (struct span){0};
	if (!scheme)
		return url;
	while (n < rest.len && rest.ptr[n] != '/' && rest.ptr[n] != '?' && rest.ptr[n] != '#')
		n++;
	*authority_out = span_of(rest.ptr, n);
	rest = span_from(rest, n);
	fragment = span_chr(rest, '#'); /* never sent */
	if (fragment)
		rest.len = (size_t)(fragment - rest.ptr);
	return rest.len ? rest : SPAN_LIT("/");
}
