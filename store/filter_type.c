// SPDX-License-Identifier: Apache-2.0
#include "store/filter_tree.h"

#include "lib/clock.h"
#include "lib/id.h"
#include "lib/nearest.h"

#include <arpa/inet.h>
#include <errno.h>

/*
 * Theory of operation
 *
 * Every field has a type, every type takes one kind of literal and some of the operators: two
 * tables say so. A literal is turned into the field's own representation once, when the filter is
 * read, so that judging an exchange compares numbers and bytes only, and so that a name that does
 * not exist is an error here and not a filter that never matches. A wrong name is answered with
 * the nearest right one.
 */

static const struct type_row {
	const char *noun;
	enum literal_type literal;
	const char *example; /* how its literal is written */
	unsigned ops;	     /* bits 1 << enum test_op */
} type_rows[] = {
#define BIT(op) (1U << OP_##op)
#define ORDER	(BIT(EQ) | BIT(LT) | BIT(LE) | BIT(GT) | BIT(GE))
#define PARTS	(BIT(STARTS) | BIT(ENDS) | BIT(CONTAINS))
	[FIELD_TYPE_TEXT] = {"text", LITERAL_TEXT, "\"cart\"", ORDER | PARTS | BIT(HAS)},
	[FIELD_TYPE_INT] = {"a number", LITERAL_INT, "500", ORDER},
	[FIELD_TYPE_TIME] = {"a time", LITERAL_TIME, "timestamp(\"2026-11-22T03:00:00Z\")", ORDER},
	[FIELD_TYPE_DURATION] = {"a duration", LITERAL_DURATION, "duration(\"300ms\")", ORDER},
	[FIELD_TYPE_ADDRESS] = {"an address", LITERAL_TEXT, "\"10.0.0.1\"", BIT(EQ) | PARTS},
	[FIELD_TYPE_ID] = {"an id", LITERAL_TEXT, "\"1H2B3C4D5E6F7\"", ORDER | PARTS},
	[FIELD_TYPE_NAME] = {"a name", LITERAL_TEXT, "\"reset\"", BIT(EQ) | PARTS},
	[FIELD_TYPE_FLAGS] = {"a set", LITERAL_TEXT, "\"redacted\" in anomalies", BIT(HAS)},
	[FIELD_TYPE_BOOL] = {"true or false", LITERAL_BOOL, "true", BIT(EQ)},
	[FIELD_TYPE_MAP] = {"a map", LITERAL_TEXT, "dst.labels[\"app\"]", 0},
#undef BIT
#undef ORDER
#undef PARTS
};

static const char *const literal_nouns[] = {
	[LITERAL_TEXT] = "text",	  [LITERAL_INT] = "a number",
	[LITERAL_TIME] = "a time",	  [LITERAL_DURATION] = "a duration",
	[LITERAL_BOOL] = "true or false", [LITERAL_DOUBLE] = "a number with a fraction",
	[LITERAL_NULL] = "null",
};

void filter_quote(struct span s, struct buf *out)
{
	buf_add_char(out, '"');
	for (size_t i = 0; i < s.len; i++) {
		if (s.ptr[i] == '"' || s.ptr[i] == '\\')
			buf_add_fmt(out, "\\%c", s.ptr[i]);
		else if (s.ptr[i] < ' ' || s.ptr[i] == 0x7f)
			buf_add_fmt(out, "\\x%02x", s.ptr[i]);
		else
			buf_add_char(out, (char)s.ptr[i]);
	}
	buf_add_char(out, '"');
}

void filter_operand_name(const struct operand *o, struct buf *out)
{
	if (o->kind == OPERAND_FIELD) {
		buf_add_str(out, field_rows[o->field].name);
		return;
	}
	for (size_t i = 0; i < COUNT_OF(filter_roots); i++) {
		const struct filter_root *r = &filter_roots[i];

		if (r->kind == o->kind && r->is_response == o->is_response && !r->is_json) {
			buf_add_str(out, r->word);
			break;
		}
	}
	if (operand_is_named(o)) {
		buf_add_char(out, '[');
		filter_quote(o->name, out);
		buf_add_char(out, ']');
	}
}

// clang-format off
const struct filter_root filter_roots[] = {
	{"request.headers",  OPERAND_HEADER,  false, false}, {"response.headers",  OPERAND_HEADER,  true, false},
	{"requestHeaders",   OPERAND_HEADER,  false, false}, {"responseHeaders",   OPERAND_HEADER,  true, false},
	{"request.trailers", OPERAND_TRAILER, false, false}, {"response.trailers", OPERAND_TRAILER, true, false},
	{"request.cookies",  OPERAND_COOKIE,  false, false}, {"response.cookies",  OPERAND_COOKIE,  true, false},
	{"request.json",     OPERAND_BODY,    false, true},  {"response.json",     OPERAND_BODY,    true, true},
	{"request.body",     OPERAND_BODY,    false, false}, {"response.body",     OPERAND_BODY,    true, false},
	{"src.labels",       OPERAND_LABEL,   false, false}, {"dst.labels",        OPERAND_LABEL,   true, false},
	{"src.annotations",  OPERAND_ANNOTATION, false, false}, {"dst.annotations", OPERAND_ANNOTATION, true, false},
	{"query",            OPERAND_QUERY,   false, false},
};
// clang-format on
_Static_assert(COUNT_OF(filter_roots) == FILTER_ROOT_COUNT, "as many as the header says");

/* ---- the nearest name ---- */

#define NAME_SHOWN_MAX 32 /* bytes of what was typed */

/* Refuse @typed, with the name that was meant, or else with @otherwise. */
static int no_such(const char *what, struct span typed, const char *meant, struct span source,
		   size_t at, const char *otherwise, struct err *e)
{
	return filter_error(e, source, at, -EINVAL, "no %s %.*s; %s%s%s", what,
			    (int)MIN(typed.len, (size_t)NAME_SHOWN_MAX), (const char *)typed.ptr,
			    meant ? "did you mean " : otherwise, meant ? meant : "",
			    meant ? "?" : "");
}

/* "service" is near "dst.service": people forget whose. */
static bool is_last_part(struct span part, struct span name)
{
	return part.len && name.len > part.len && name.ptr[name.len - part.len - 1] == '.' &&
	       span_eq(part, span_from(name, name.len - part.len));
}

static const char *const other_words[] = {
	"failed()", "duration()", "timestamp()", "now()", "text()", "has()", "true", "false",
};

static const char *nearest_field(struct span name)
{
	const char *names[FIELD_COUNT + COUNT_OF(other_words) + FILTER_ROOT_COUNT];
	const char *meant = NULL;
	size_t count = FIELD_COUNT + COUNT_OF(other_words);

	for (int i = 0; i < FIELD_COUNT; i++) {
		names[i] = field_rows[i].name;
		/* of several people mean the server's */
		if (is_last_part(name, span_str(names[i])) &&
		    (!meant || strncmp(names[i], "dst.", 4) == 0))
			meant = names[i];
	}
	memcpy(names + FIELD_COUNT, other_words, sizeof(other_words));
	for (size_t i = 0; i < FILTER_ROOT_COUNT; i++)
		names[count++] = filter_roots[i].word;
	return meant ? meant : nearest_name(name, names, count);
}

int filter_refuse_name(const char *what, struct span name, const char *const *names, size_t count,
		       struct span source, size_t at, struct err *e)
{
	AUTO_BUF all = {0};

	buf_add_str(&all, "there are ");
	for (size_t i = 0; i < count; i++)
		buf_add_fmt(&all, "%s%s", i ? ", " : "", names[i]);
	return no_such(what, name, nearest_name(name, names, count), source, at, buf_cstr(&all), e);
}

int filter_field(struct span name, struct span source, size_t at, struct err *e)
{
	int field = field_parse(name);

	if (field >= 0)
		return field;
	return no_such("field", name, nearest_field(name), source, at, "text is written in quotes",
		       e);
}

/* ---- names ---- */

#define NAMES_MAX 64 /* of one vocabulary */

static int find_name(struct span name, unsigned count, field_name_fn *name_of,
		     const char **meant_out)
{
	const char *names[NAMES_MAX];

	for (unsigned i = 0; i < MIN(count, NAMES_MAX); i++) {
		names[i] = name_of(i);
		if (span_eq(name, span_str(names[i])))
			return (int)i;
	}
	*meant_out = nearest_name(name, names, MIN(count, NAMES_MAX));
	return -EINVAL;
}

#define NAMES_SHOWN_MAX 130 /* bytes of a list of names in a message */

static void list_names(unsigned count, field_name_fn *name_of, struct buf *out)
{
	unsigned i = 0;

	buf_add_str(out, "they are ");
	for (; i < count && out->len < NAMES_SHOWN_MAX; i++)
		buf_add_fmt(out, "%s%s", i ? ", " : "", name_of(i));
	if (i < count)
		buf_add_str(out, ", ...");
}

static int convert_name(const struct operand *o, const struct literal *l, struct span source,
			struct value *out, struct err *e)
{
	AUTO_BUF all = {0};
	unsigned count;
	field_name_fn *name_of = field_vocabulary((enum field)o->field, &count);
	const char *meant;
	int number;

	if (!name_of)
		return filter_error(e, source, l->at, -EINVAL, "%s has no names",
				    field_rows[o->field].name);
	number = find_name(l->text, count, name_of, &meant);
	list_names(count, name_of, &all);
	if (number < 0)
		return no_such(field_rows[o->field].name, l->text, meant, source, l->at,
			       buf_cstr(&all), e);
	*out = (struct value){.text = l->text, .number = number};
	return 0;
}

int filter_outcome(const struct literal *l, struct span source, struct err *e)
{
	struct exchange x = {0};
	const char *meant;
	int number = find_name(l->text, OUTCOME_COUNT, outcome_name, &meant);

	if (number < 0)
		return no_such(
			"outcome", l->text, meant, source, l->at,
			"failed() knows server_error, grpc_error, reset, timeout, no_response", e);
	x.outcome = (uint8_t)number;
	if (!exchange_is_failed(&x))
		return filter_error(e, source, l->at, -EINVAL,
				    "%s does not count as failed; write outcome == \"%s\"",
				    outcome_name((unsigned)number), outcome_name((unsigned)number));
	return number;
}

/* "gap" stands for gap_request and gap_response: the beginning of a name, up to an underscore. */
static bool is_beginning(struct span word, struct span name)
{
	return word.len && name.len > word.len && name.ptr[word.len] == '_' &&
	       span_eq(word, span_of(name.ptr, word.len));
}

int filter_anomalies(const struct literal *l, struct span source, int64_t *mask_out, struct err *e)
{
	AUTO_BUF all = {0};
	const char *meant;
	int number = find_name(l->text, ANOMALY_COUNT, anomaly_name, &meant);
	int64_t mask = number < 0 ? 0 : INT64_C(1) << number;

	for (unsigned i = 0; number < 0 && i < ANOMALY_COUNT; i++)
		if (is_beginning(l->text, span_str(anomaly_name(i))))
			mask |= INT64_C(1) << i;
	if (!mask) {
		list_names(ANOMALY_COUNT, anomaly_name, &all);
		return no_such("anomaly", l->text, meant, source, l->at, buf_cstr(&all), e);
	}
	*mask_out = mask;
	return 0;
}

/* ---- literals ---- */

/* An IPv4 address fills the last 32 of 128 bits, as in struct endpoint. */
static bool read_address(const char *text, struct value *v)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	v->is_ipv4 = inet_pton(AF_INET, text, v->address + 12) == 1;
	if (v->is_ipv4)
		memcpy(v->address, mapped, sizeof(mapped));
	return v->is_ipv4 || inet_pton(AF_INET6, text, v->address) == 1;
}

/* The number behind the slash; -1 when it is none or too large. */
static int read_prefix_bits(const char *digits, int bits_max)
{
	int bits = 0;

	if (!*digits || strlen(digits) > 3)
		return -1;
	for (; *digits; digits++) {
		if (*digits < '0' || *digits > '9')
			return -1;
		bits = bits * 10 + (*digits - '0');
	}
	return bits <= bits_max ? bits : -1;
}

static int convert_address(const struct literal *l, bool is_in, struct span source,
			   struct value *out, struct err *e)
{
	char text[ENDPOINT_TEXT_MAX + 4];
	struct value v = {0};
	char *slash;
	int bits = 0;

	if (l->text.len >= sizeof(text) || (l->text.len && memchr(l->text.ptr, 0, l->text.len)))
		return filter_error(e, source, l->at, -EINVAL, "this is no address");
	if (l->text.len)
		memcpy(text, l->text.ptr, l->text.len);
	text[l->text.len] = '\0';
	slash = strchr(text, '/');
	if (slash && !is_in)
		return filter_error(e, source, l->at, -EINVAL,
				    "a range of addresses stands behind in: src.ip in \"%s\"",
				    text);
	if (slash)
		*slash = '\0';
	if (!read_address(text, &v))
		return filter_error(e, source, l->at, -EINVAL, "%s is no address", text);
	if (slash)
		bits = read_prefix_bits(slash + 1, v.is_ipv4 ? 32 : 128);
	if (bits < 0)
		return filter_error(e, source, l->at, -EINVAL, "the number behind / is 0 to %d",
				    v.is_ipv4 ? 32 : 128);
	v.prefix_bits = (uint8_t)(slash ? bits + (v.is_ipv4 ? 96 : 0) : 128);
	*out = v;
	return 0;
}

static int convert_id(const struct literal *l, struct span source, struct value *out, struct err *e)
{
	uint64_t id;
	unsigned bits;

	if (id_parse(l->text, &id, &bits) < 0)
		return filter_error(e, source, l->at, -EINVAL, "this is no id");
	if (bits != 64)
		return filter_error(e, source, l->at, -EINVAL,
				    "an id has %d letters; for its ending write .endsWith(\"...\")",
				    ID_TEXT_LEN);
	out->number = (int64_t)id;
	return 0;
}

/* Loop writes headers[":status"] == "500". */
static int convert_status_text(const struct literal *l, struct span source, struct value *out,
			       struct err *e)
{
	int64_t v = 0;

	for (size_t i = 0; i < l->text.len; i++) {
		if (l->text.len > 3 || l->text.ptr[i] < '0' || l->text.ptr[i] > '9')
			return filter_error(e, source, l->at, -EINVAL,
					    "a status is written \"500\"");
		v = v * 10 + (l->text.ptr[i] - '0');
	}
	out->number = v;
	return 0;
}

static int wrong_type(const struct operand *o, const struct literal *l, struct span source,
		      struct err *e)
{
	const struct type_row *row = &type_rows[operand_type(o)];
	AUTO_BUF name = {0};

	filter_operand_name(o, &name);
	return filter_error(e, source, l->at, -EINVAL, "%s is %s and this is %s; write it as %s",
			    buf_cstr(&name), row->noun, literal_nouns[l->type], row->example);
}

int filter_convert(const struct operand *o, enum test_op op, const struct literal *l, bool is_in,
		   struct span source, struct value *out, struct err *e)
{
	enum field_type type = operand_type(o);

	*out = (struct value){.text = l->text, .number = l->number};
	if (o->is_text && l->type == LITERAL_TEXT && type == FIELD_TYPE_INT)
		return convert_status_text(l, source, out, e);
	if (l->type != type_rows[type].literal)
		return wrong_type(o, l, source, e);
	if (op >= OP_STARTS)
		return 0; /* a part of the text of whatever it is */
	if (type == FIELD_TYPE_NAME)
		return convert_name(o, l, source, out, e);
	if (type == FIELD_TYPE_ADDRESS)
		return convert_address(l, is_in, source, out, e);
	if (type == FIELD_TYPE_ID)
		return convert_id(l, source, out, e);
	return 0;
}

static const char *const op_nouns[] = {
	[OP_EQ] = "==",		  [OP_LT] = "<",
	[OP_LE] = "<=",		  [OP_GT] = ">",
	[OP_GE] = ">=",		  [OP_STARTS] = "startsWith",
	[OP_ENDS] = "endsWith",	  [OP_CONTAINS] = "contains",
	[OP_HAS] = "in",	  [OP_FAILED] = "failed",
	[OP_MATCHES] = "matches",
};

int filter_can(const struct operand *o, enum test_op op, struct span source, size_t at,
	       struct err *e)
{
	const struct type_row *row = &type_rows[operand_type(o)];
	AUTO_BUF name = {0};

	if (row->ops >> op & 1)
		return 0;
	filter_operand_name(o, &name);
	return filter_error(e, source, at, -EINVAL, "%s is %s: it has no %s (its form: %s)",
			    buf_cstr(&name), row->noun, op_nouns[op], row->example);
}
