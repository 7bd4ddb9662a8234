// SPDX-License-Identifier: Apache-2.0
#include "store/filter_value.h"

#include "schema/content.h"

/*
 * Theory of operation
 *
 * What of an exchange has a name and may come several times is walked line by line: headers and
 * trailers; parameters of the target's query, percent-decoded as forms are (application/
 * x-www-form-urlencoded, WHATWG URL 5); cookies (RFC 6265 4.2.1: pairs of the request; 4.1.1: the
 * pair at the beginning of each Set-Cookie). Header names compare without case, the others with.
 *
 * A body is what its reader saw: content codings are undone once for each exchange, within the
 * limits of schema/content.h. Of a body that does not decode to its end, what was read before
 * counts; where nothing was, the octets of the wire.
 */

struct field_value filter_field_of(struct filter_scratch *s, enum field field)
{
	const struct filter_columns *c = s->columns;

	if (s->x)
		return field_get(s->x, field);
	for (size_t i = 0; c && i < c->count; i++)
		if (c->fields[i] == field)
			return c->values[i];
	return (struct field_value){0};
}

static const struct message *message_of(const struct filter_scratch *s, bool is_response)
{
	static const struct message none;

	if (!s->x)
		return &none;
	return is_response ? &s->x->response : &s->x->request;
}

struct span filter_body_of(struct filter_scratch *s, bool is_response)
{
	struct side *side = &s->sides[is_response];
	const struct message *m = message_of(s, is_response);

	if (!side->is_read && content_decode(m, &side->room, &side->body, NULL) < 0 &&
	    side->body.len == 0)
		side->body = m->body;
	side->is_read = true;
	return side->body;
}

/* ---- pairs ---- */

static int hex_digit(uint8_t c)
{
	uint8_t low = c | 0x20;

	if (c >= '0' && c <= '9')
		return c - '0';
	return low >= 'a' && low <= 'f' ? low - 'a' + 10 : -1;
}

/* As forms are encoded: + is a blank, %XX an octet; what is no %XX stays. */
static struct span form_decoded(struct filter_scratch *s, struct span text)
{
	uint8_t *to;
	size_t n = 0;

	if (!text.len || (!memchr(text.ptr, '%', text.len) && !memchr(text.ptr, '+', text.len)))
		return text;
	to = filter_text_room(s, text.len);
	if (!to)
		return text;
	for (size_t i = 0; i < text.len; i++) {
		int high = -1, low = -1;

		if (text.ptr[i] == '%' && i + 2 < text.len) {
			high = hex_digit(text.ptr[i + 1]);
			low = hex_digit(text.ptr[i + 2]);
		}
		if (high >= 0 && low >= 0) {
			to[n++] = (uint8_t)((unsigned)high << 4 | (unsigned)low);
			i += 2;
		} else {
			to[n++] = text.ptr[i] == '+' ? (uint8_t)' ' : text.ptr[i];
		}
	}
	return span_of(to, n);
}

/* Take "name=value" up to @separator off the front of it->rest. */
static void take_pair(struct operand_iter *it, char separator)
{
	const uint8_t *end = memchr(it->rest.ptr, separator, it->rest.len), *equals;
	struct span pair = {it->rest.ptr, end ? (size_t)(end - it->rest.ptr) : it->rest.len};

	it->rest = span_from(it->rest, pair.len + 1);
	equals = span_chr(pair, '=');
	it->name = span_trim(equals ? span_of(pair.ptr, (size_t)(equals - pair.ptr)) : pair);
	it->value = equals ? span_trim(span_from(pair, (size_t)(equals - pair.ptr) + 1))
			   : (struct span){0};
}

static struct span query_of(struct filter_scratch *s)
{
	struct span target = filter_field_of(s, FIELD_TARGET).text;
	const uint8_t *mark = span_chr(target, '?');
	struct span query =
		mark ? span_from(target, (size_t)(mark - target.ptr) + 1) : (struct span){0};
	const uint8_t *hash = span_chr(query, '#');

	return hash ? span_of(query.ptr, (size_t)(hash - query.ptr)) : query;
}

static bool next_parameter(struct filter_scratch *s, struct operand_iter *it)
{
	if (!it->has_begun)
		it->rest = query_of(s);
	it->has_begun = true;
	do {
		if (!it->rest.len)
			return false;
		take_pair(it, '&');
	} while (!it->name.len && !it->value.len);
	it->name = form_decoded(s, it->name);
	it->value = form_decoded(s, it->value);
	return true;
}

static bool next_line(struct filter_scratch *s, struct operand_iter *it, bool is_trailers)
{
	const struct message *m = message_of(s, it->operand->is_response);

	if (!it->has_begun)
		it->header = (struct header_iter){.rest = is_trailers ? m->trailers : m->head,
						  .is_trailers = is_trailers};
	it->has_begun = true;
	return header_next(&it->header);
}

static bool next_header(struct filter_scratch *s, struct operand_iter *it)
{
	if (!next_line(s, it, it->operand->kind == OPERAND_TRAILER))
		return false;
	it->name = it->header.name;
	it->value = it->header.value;
	return true;
}

static bool next_cookie(struct filter_scratch *s, struct operand_iter *it)
{
	struct span name = it->operand->is_response ? SPAN_LIT("set-cookie") : SPAN_LIT("cookie");

	while (!it->rest.len) {
		if (!next_line(s, it, false))
			return false;
		if (span_ieq(it->header.name, name))
			it->rest = it->header.value;
	}
	take_pair(it, ';');
	if (it->operand->is_response)
		it->rest = (struct span){0}; /* attributes */
	return true;
}

static struct span scanned_text(struct filter_scratch *s, const struct json_scan *text)
{
	uint8_t *to = text->has_escapes ? filter_text_room(s, text->text.len) : NULL;

	return to ? span_of(to, json_scan_unescape(text->text, to)) : text->text;
}

/* labels and annotations: schema/labels.h */
static bool next_entry(struct filter_scratch *s, struct operand_iter *it)
{
	if (!it->has_begun)
		it->json.rest = filter_field_of(s, operand_map_field(it->operand)).text;
	it->has_begun = true;
	do {
		if (!it->json.rest.len || !json_scan_next(&it->json))
			return false;
	} while (it->json.key.type != JSON_SCAN_TEXT || it->json.value.type != JSON_SCAN_TEXT);
	it->name = scanned_text(s, &it->json.key);
	it->value = scanned_text(s, &it->json.value);
	return true;
}

static bool next_pair(struct filter_scratch *s, struct operand_iter *it)
{
	switch ((enum operand_kind)it->operand->kind) {
	case OPERAND_HEADER:
	case OPERAND_TRAILER: return next_header(s, it);
	case OPERAND_QUERY: return next_parameter(s, it);
	case OPERAND_COOKIE: return next_cookie(s, it);
	case OPERAND_LABEL:
	case OPERAND_ANNOTATION: return next_entry(s, it);
	case OPERAND_FIELD:
	case OPERAND_BODY: break;
	}
	return false;
}

bool filter_operand_next(struct filter_scratch *s, struct operand_iter *it)
{
	const struct operand *o = it->operand;
	bool is_header = o->kind == OPERAND_HEADER || o->kind == OPERAND_TRAILER;

	while (next_pair(s, it)) {
		bool is_it = is_header ? span_ieq(it->name, o->name) : span_eq(it->name, o->name);

		if (it->is_any_name ? it->name.len > 0 : is_it)
			return true;
	}
	return false;
}

struct span filter_operand_text(struct filter_scratch *s, const struct operand *o)
{
	struct operand_iter it = {.operand = o};

	if (o == s->many)
		return s->line;
	if (o->kind == OPERAND_BODY)
		return filter_body_of(s, o->is_response);
	if (o->kind == OPERAND_FIELD)
		return filter_field_of(s, o->field).text;
	return filter_operand_next(s, &it) ? it.value : (struct span){0};
}
