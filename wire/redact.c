// SPDX-License-Identifier: Apache-2.0
#include "wire/redact.h"

#include "wire/http2_head.h"
#include "wire/redact_copy.h"

/*
 * Theory of operation
 *
 * One walk over a head copies everything and, where a rule says so (wire/redactor.h), a tag in place of a value
 * or a part of it. A tag's length is fixed, so a walk that hashes nothing gives the exact size to reserve where
 * the copy does not fit the caller's room. Most heads hold none of the names: the parser noticed that on its way
 * (struct http1_watch) and they are never walked. In others it noted the values that have a rule, and what it
 * found elsewhere is moved by as much as the tags before it are longer than what they replace. A head that is
 * unusual in any way is walked whole, whatever was noted.
 *
 * What lies in a value is known to wire/redact_value.c, in a URL to wire/redact_url.c. What already is a tag
 * stays as it is: a replay of what was recorded is recorded again.
 */

/* one position, past a @secret that was replaced; false: it lies within it */
static bool move(const struct redact_copy *c, struct span secret, struct http1_at at,
		 struct http1_at *out)
{
	size_t from = (size_t)(secret.ptr - c->from), to = from + secret.len;

	if (at.from >= to)
		out->from += REDACT_TAG_BYTES - (uint32_t)secret.len; /* modulo 2^32 */
	return at.from == 0 || at.from >= to || at.from + at.len <= from;
}

static void move_all(struct redact_copy *c, struct span secret)
{
	const struct http1_head *i = c->info;
	size_t from = (size_t)(secret.ptr - c->from);

	if (!i)
		return;
	if (from >= i->target.from && from + secret.len <= i->target.from + i->target.len)
		c->moved->target.len += REDACT_TAG_BYTES - (uint32_t)secret.len;
	else if (!move(c, secret, i->target, &c->moved->target))
		c->is_unmovable = true;
	if (!move(c, secret, i->host, &c->moved->host) ||
	    !move(c, secret, i->content_type, &c->moved->content_type) ||
	    !move(c, secret, i->trace_id, &c->moved->trace_id) ||
	    !move(c, secret, i->replay_of, &c->moved->replay_of))
		c->is_unmovable = true;
}

static bool is_tag(struct span s)
{
	return s.len == REDACT_TAG_BYTES && memcmp(s.ptr, "[tl:", 4) == 0 &&
	       s.ptr[s.len - 1] == ']';
}

void redact_secret(struct redact_copy *c, struct span secret)
{
	if (secret.len == 0 || is_tag(secret)) {
		redact_put(c, secret.ptr, secret.ptr + secret.len);
		return;
	}
	if (c->len + REDACT_TAG_BYTES > c->room)
		c->out = NULL;
	if (c->out)
		redactor_tag(c->r, secret, c->out + c->len);
	move_all(c, secret);
	c->len += REDACT_TAG_BYTES;
	c->count++;
}

static bool is_host(struct span name)
{
	return span_ieq(name, SPAN_LIT("host")) || span_ieq(name, SPAN_LIT(":authority"));
}

/* --- heads --- */

static void put_lines(struct redact_copy *c, struct span lines, bool has_start_line)
{
	struct header_iter it = {
		.rest = lines, .is_trailers = !has_start_line, .has_begun = has_start_line};
	const uint8_t *done = lines.ptr;

	if (lines.len == 0)
		return;
	while (header_next(&it)) {
		enum redact_form form = redactor_form(c->r, it.name);

		if (it.value.len == 0 || (form == FORM_NONE && !is_host(it.name)))
			continue;
		redact_put(c, done, it.value.ptr);
		if (form == FORM_NONE)
			redact_authority(c, it.value);
		else
			redact_value(c, form, it.value);
		done = it.value.ptr + it.value.len;
	}
	redact_put(c, done, lines.ptr + lines.len);
}

/* the first line, with its target wherever the parser sees it */
static void put_request_line(struct redact_copy *c, struct span line)
{
	struct http1_head h;
	struct span target;

	if (!http1_head_parse(HTTP1_REQUEST, line, true, NULL, &h))
		http2_head_read(HTTP1_REQUEST, line, NULL, &h);
	target = http1_span(line, h.target);
	if (!target.ptr) {
		redact_put(c, line.ptr, line.ptr + line.len);
		return;
	}
	redact_put(c, line.ptr, target.ptr);
	if (h.is_connect)
		redact_authority(c, target);
	else
		redact_url(c, target);
	redact_put(c, target.ptr + target.len, line.ptr + line.len);
}

/* the parser's notes tell all there is to be replaced */
static bool is_usual(const struct http1_head *h)
{
	const uint64_t odd = ANOMALY_BIT(OBS_FOLD) | ANOMALY_BIT(BAD_HEADER) |
			     ANOMALY_BIT(DUPLICATE_HOST) | ANOMALY_BIT(HEAD_CUT);

	return h->version && h->version < 20 && !h->is_cut && !(h->anomalies & odd) &&
	       h->watched_count <= HTTP1_WATCHED_MAX;
}

/* values noted by the parser, and what lies between them */
static void put_noted(struct redact_copy *c, const struct redact_job *job, size_t done)
{
	const struct http1_head *h = c->info;

	for (unsigned i = 0; i < h->watched_count; i++) {
		struct span value = http1_span(job->head, h->watched[i]);

		redact_put(c, job->head.ptr + done, value.ptr);
		if (value.len)
			redact_value(c, (enum redact_form)h->rules[i], value);
		done = h->watched[i].from + value.len;
	}
	redact_put(c, job->head.ptr + done, job->head.ptr + job->head.len);
}

static void put_usual(struct redact_copy *c, const struct redact_job *job)
{
	struct span target = http1_span(job->head, c->info->target);

	if (!target.ptr) {
		put_noted(c, job, 0);
		return;
	}
	redact_put(c, job->head.ptr, target.ptr);
	if (c->info->is_connect)
		redact_authority(c, target);
	else
		redact_url(c, target);
	put_noted(c, job, c->info->target.from + target.len);
}

static void put_head(struct redact_copy *c, const struct redact_job *job)
{
	const uint8_t *lf = span_chr(job->head, '\n');
	size_t n = lf ? (size_t)(lf - job->head.ptr) + 1 : job->head.len;

	if (job->kind == HTTP1_REQUEST)
		put_request_line(c, span_of(job->head.ptr, n));
	else
		redact_put(c, job->head.ptr, job->head.ptr + n);
	put_lines(c, span_from(job->head, n), true);
}

size_t redact_head(const struct redactor *r, struct redact_job *job, uint8_t *out)
{
	struct http1_head info;
	struct redact_copy c = {.r = r, .out = out, .room = job->room, .from = job->head.ptr};

	if (job->info && is_usual(job->info)) {
		info = *job->info;
		c.info = &info;
		c.moved = job->info;
	}
	if (c.info && !redact_target_may_matter(http1_span(job->head, info.host)))
		put_usual(&c, job);
	else
		put_head(&c, job);
	job->secrets = c.count;
	/* a header that only the settings call a secret may be one that the parser reads */
	job->is_moved = c.info && !c.is_unmovable && !redactor_has_headers(r);
	return c.len;
}

size_t redact_trailers(const struct redactor *r, struct span lines, uint8_t *out, size_t *count_out)
{
	struct redact_copy c = {.r = r, .out = out, .room = SIZE_MAX};

	put_lines(&c, lines, false);
	*count_out = c.count;
	return c.len;
}
