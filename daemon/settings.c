// SPDX-License-Identifier: Apache-2.0
#include "daemon/settings.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "lib/clock.h"
#include "lib/json.h"
#include "lib/nearest.h"

/*
 * Theory of operation. The table of settings becomes an array of rows that know where in struct
 * settings their value lies; everything else walks that array. A value is read from text by its
 * row's type, whoever the text came from.
 */
#define ROW_NUMBER(def)	  .number = (uint64_t)(def)
#define ROW_TEXT(def)	  .text = def
#define ROW_BYTES(def)	  ROW_NUMBER(def)
#define ROW_DURATION(def) ROW_NUMBER(def)
#define ROW_COUNT(def)	  ROW_NUMBER(def)
#define ROW_BOOL(def)	  ROW_NUMBER(def)
#define ROW_LIST(def)	  ROW_TEXT(def)
#define IS_LIVE_LIVE	  true
#define IS_LIVE_START	  false
#define LIST_ITEM_MAX	  4096 /* bytes of one item */

const struct setting_row setting_rows[SETTING_COUNT] = {
#define SETTING(field_, key_, TYPE, def, min_, max_, reload, what_)                                \
	[SETTING_##field_] = {.key = key_,                                                         \
			      .what = what_,                                                       \
			      ROW_##TYPE(def),                                                     \
			      .min = (uint64_t)(min_),                                             \
			      .max = (uint64_t)(max_),                                             \
			      .offset = offsetof(struct settings, field_),                         \
			      .type = SETTING_TYPE_##TYPE,                                         \
			      .is_live = IS_LIVE_##reload},
#include "schema/settings.tbl.h"
#undef SETTING
};

/* A unit of a size, largest first, so that a number is shown in the largest that divides it. */
struct size_unit {
	const char *name;
	uint64_t bytes;
};
static const struct size_unit size_units[] = {
	{"TiB", UINT64_C(1) << 40},
	{"GiB", 1 << 30},
	{"MiB", 1 << 20},
	{"KiB", 1 << 10},
	{"T", UINT64_C(1) << 40},
	{"G", 1 << 30},
	{"M", 1 << 20},
	{"K", 1 << 10},
	{"TB", 1000000000000},
	{"GB", 1000000000},
	{"MB", 1000000},
	{"kB", 1000},
	{"B", 1},
	{"", 1},
};
#define SIZE_UNITS_SHOWN 4

static const struct size_unit time_units[] = {
	{"d", 86400 * NS_PER_S},
	{"h", 3600 * NS_PER_S},
	{"m", 60 * NS_PER_S},
	{"s", NS_PER_S},
	{"ms", NS_PER_MS},
	{"us", NS_PER_US},
	{"ns", 1},
};

static void *value_at(struct settings *s, enum setting which)
{
	return (char *)s + setting_rows[which].offset;
}

static const void *value_of(const struct settings *s, enum setting which)
{
	return (const char *)s + setting_rows[which].offset;
}

static uint64_t number_of(const struct settings *s, enum setting which)
{
	if (setting_rows[which].type == SETTING_TYPE_BOOL)
		return *(const bool *)value_of(s, which);
	return *(const uint64_t *)value_of(s, which);
}

static void put_number(struct settings *s, enum setting which, uint64_t v)
{
	if (setting_rows[which].type == SETTING_TYPE_BOOL)
		*(bool *)value_at(s, which) = v != 0;
	else
		*(uint64_t *)value_at(s, which) = v;
}

static void list_fini(struct setting_list *l)
{
	for (size_t i = 0; i < l->count; i++)
		free(l->items[i]);
	free(l->items);
	*l = (struct setting_list){0};
}

static int list_add(struct setting_list *l, struct span item)
{
	char **more = realloc(l->items, (l->count + 2) * sizeof(*more));

	if (!more)
		return -ENOMEM;
	l->items = more;
	more[l->count] = strndup((const char *)item.ptr, item.len);
	if (!more[l->count])
		return -ENOMEM;
	more[++l->count] = NULL; /* for those who walk it without the count */
	return 0;
}

/* "a, b" -> a and b; empty ones are left out */
static int list_split(struct setting_list *l, struct span text)
{
	int failed = 0;

	while (text.len && failed == 0) {
		const uint8_t *comma = memchr(text.ptr, ',', text.len);
		size_t n = comma ? (size_t)(comma - text.ptr) : text.len;
		struct span item = span_trim(span_of(text.ptr, n));

		if (item.len)
			failed = list_add(l, item);
		text = span_from(text, n + 1);
	}
	return failed;
}

static int parse_u64(struct span s, uint64_t *out, struct span *rest)
{
	uint64_t v = 0;

	if (s.len == 0 || !isdigit(s.ptr[0]))
		return -EINVAL;
	for (; s.len && isdigit(s.ptr[0]); s = span_from(s, 1)) {
		if (v > (UINT64_MAX - 9) / 10)
			return -EINVAL;
		v = v * 10 + (uint64_t)(s.ptr[0] - '0');
	}
	*out = v;
	*rest = s;
	return 0;
}

static int parse_bytes(struct span s, uint64_t *out)
{
	uint64_t n;
	struct span unit;

	if (parse_u64(s, &n, &unit) < 0)
		return -EINVAL;
	unit = span_trim(unit);
	for (size_t i = 0; i < COUNT_OF(size_units); i++) {
		if (!span_eq(unit, span_str(size_units[i].name)))
			continue;
		return __builtin_mul_overflow(n, size_units[i].bytes, out) ? -EINVAL : 0;
	}
	return -EINVAL;
}

static int parse_count(struct span s, uint64_t *out)
{
	struct span rest;
	uint64_t n;

	if (parse_u64(s, &n, &rest) < 0 || rest.len)
		return -EINVAL;
	*out = n;
	return 0;
}

static int parse_bool(struct span s, uint64_t *out)
{
	static const char *const words[] = {"false", "true", "no", "yes", "off", "on", "0", "1"};

	for (size_t i = 0; i < COUNT_OF(words); i++) {
		if (span_ieq(s, span_str(words[i]))) {
			*out = i % 2;
			return 0;
		}
	}
	return -EINVAL;
}

static int parse_number(const struct setting_row *row, struct span s, uint64_t *out)
{
	static int (*const parsers[])(struct span, uint64_t *) = {
		[SETTING_TYPE_BYTES] = parse_bytes,
		[SETTING_TYPE_DURATION] = clock_parse_duration,
		[SETTING_TYPE_COUNT] = parse_count,
		[SETTING_TYPE_BOOL] = parse_bool,
	};
	int failed = parsers[row->type](s, out);

	return failed == 0 && (*out < row->min || *out > row->max) ? -ERANGE : failed;
}

static void add_in_unit(struct buf *out, uint64_t v, const struct size_unit *units, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (v && v % units[i].bytes == 0) {
			buf_add_u64(out, v / units[i].bytes);
			buf_add_str(out, units[i].name);
			return;
		}
	}
	buf_add_u64(out, v);
}

static void add_number(struct buf *out, enum setting which, uint64_t v)
{
	switch ((enum setting_type)setting_rows[which].type) {
	case SETTING_TYPE_BYTES: add_in_unit(out, v, size_units, SIZE_UNITS_SHOWN); break;
	case SETTING_TYPE_DURATION:
		add_in_unit(out, v, time_units, COUNT_OF(time_units));
		if (v == 0)
			buf_add_char(out, 's'); /* a time has a unit */
		break;
	case SETTING_TYPE_BOOL: buf_add_str(out, v ? "true" : "false"); break;
	case SETTING_TYPE_COUNT:
	case SETTING_TYPE_TEXT:
	case SETTING_TYPE_LIST: buf_add_u64(out, v); break;
	}
}

void setting_expects(enum setting which, struct buf *out)
{
	static const char *const kinds[] = {
		[SETTING_TYPE_BYTES] = "a size such as 64MiB",
		[SETTING_TYPE_DURATION] = "a time such as 1.5s, 10m or 1h30m",
		[SETTING_TYPE_COUNT] = "a whole number",
		[SETTING_TYPE_BOOL] = "true or false",
		[SETTING_TYPE_TEXT] = "a text",
		[SETTING_TYPE_LIST] = "a list of texts",
	};
	const struct setting_row *row = &setting_rows[which];

	buf_add_str(out, kinds[row->type]);
	if (row->type == SETTING_TYPE_TEXT) {
		buf_add_fmt(out, " of at most %" PRIu64 " bytes", row->max);
	} else if (row->type == SETTING_TYPE_LIST) {
		buf_add_fmt(out, ", at most %" PRIu64, row->max);
	} else if (row->type != SETTING_TYPE_BOOL) {
		buf_add_str(out, ", ");
		add_number(out, which, row->min);
		buf_add_str(out, " to ");
		add_number(out, which, row->max);
	}
}

static int refuse(enum setting which, struct span text, struct err *e)
{
	AUTO_BUF expected = {0};

	setting_expects(which, &expected);
	return err_set(e, -EINVAL, "%s: '%.*s': expected %s", setting_rows[which].key,
		       (int)MIN(text.len, 80U), (const char *)text.ptr, buf_cstr(&expected));
}

static int set_list(struct chosen *c, enum setting which, const struct span *items, size_t count,
		    bool is_more, struct err *e)
{
	struct setting_list fresh = {0}, *now = value_at(&c->values, which);
	int failed = 0;

	for (size_t i = 0; is_more && i < now->count && failed == 0; i++)
		failed = list_add(&fresh, span_str(now->items[i]));
	for (size_t i = 0; i < count && failed == 0; i++) {
		if (items[i].len > LIST_ITEM_MAX || memchr(items[i].ptr, 0, items[i].len))
			failed = refuse(which, items[i], e);
		else
			failed = count == 1 ? list_split(&fresh, items[i])
					    : list_add(&fresh, items[i]);
	}
	if (failed == 0 && fresh.count > setting_rows[which].max)
		failed = refuse(which, items[0], e);
	if (failed < 0) {
		list_fini(&fresh);
		return failed;
	}
	list_fini(now);
	*now = fresh;
	return 0;
}

static int set_text(struct chosen *c, enum setting which, struct span text, struct err *e)
{
	char **now = value_at(&c->values, which), *fresh;

	if (text.len > setting_rows[which].max || (text.len && memchr(text.ptr, 0, text.len)))
		return refuse(which, text, e);
	fresh = strndup(text.len ? (const char *)text.ptr : "", text.len);
	if (!fresh)
		return err_set(e, -ENOMEM, "%s: out of memory", setting_rows[which].key);
	free(*now);
	*now = fresh;
	return 0;
}

static int set_number(struct chosen *c, enum setting which, struct span text, struct err *e)
{
	uint64_t v;

	if (parse_number(&setting_rows[which], text, &v) < 0)
		return refuse(which, text, e);
	put_number(&c->values, which, v);
	return 0;
}

int chosen_set(struct chosen *c, enum setting which, const struct span *items, size_t count,
	       const char *origin, bool is_more, struct err *e)
{
	const struct setting_row *row = &setting_rows[which];
	struct span first = count ? span_trim(items[0]) : (struct span){0};
	char *from;
	int failed;

	if (row->type == SETTING_TYPE_LIST)
		failed = set_list(c, which, items, count, is_more, e);
	else if (count != 1)
		failed = refuse(which, SPAN_LIT("[...]"), e);
	else if (row->type == SETTING_TYPE_TEXT)
		failed = set_text(c, which, first, e);
	else
		failed = set_number(c, which, first, e);
	if (failed < 0)
		return failed;
	from = origin ? strdup(origin) : NULL;
	if (origin && !from)
		return err_set(e, -ENOMEM, "%s: out of memory", row->key);
	free(c->origins[which]);
	c->origins[which] = from;
	return 0;
}

int chosen_init(struct chosen *c)
{
	int failed = 0;

	*c = (struct chosen){0};
	for (enum setting i = 0; i < SETTING_COUNT && failed == 0; i++) {
		struct span text = span_str(setting_rows[i].text);

		if (setting_rows[i].text)
			failed = chosen_set(c, i, &text, 1, NULL, false, NULL);
		else
			put_number(&c->values, i, setting_rows[i].number);
	}
	return failed;
}

void chosen_fini(struct chosen *c)
{
	for (enum setting i = 0; i < SETTING_COUNT; i++) {
		if (setting_rows[i].type == SETTING_TYPE_LIST)
			list_fini(value_at(&c->values, i));
		else if (setting_rows[i].type == SETTING_TYPE_TEXT)
			free(*(char **)value_at(&c->values, i));
		free(c->origins[i]);
	}
	*c = (struct chosen){0};
}

bool setting_equals(const struct settings *a, const struct settings *b, enum setting which)
{
	const struct setting_list *l = value_of(a, which), *m = value_of(b, which);

	if (setting_rows[which].type == SETTING_TYPE_TEXT)
		return strcmp(*(char *const *)value_of(a, which),
			      *(char *const *)value_of(b, which)) == 0;
	if (setting_rows[which].type != SETTING_TYPE_LIST)
		return number_of(a, which) == number_of(b, which);
	if (l->count != m->count)
		return false;
	for (size_t i = 0; i < l->count; i++)
		if (strcmp(l->items[i], m->items[i]) != 0)
			return false;
	return true;
}

static size_t value_bytes(enum setting which)
{
	switch ((enum setting_type)setting_rows[which].type) {
	case SETTING_TYPE_LIST: return sizeof(struct setting_list);
	case SETTING_TYPE_TEXT: return sizeof(char *);
	case SETTING_TYPE_BOOL: return sizeof(bool);
	case SETTING_TYPE_BYTES:
	case SETTING_TYPE_DURATION:
	case SETTING_TYPE_COUNT: break;
	}
	return sizeof(uint64_t);
}

void setting_swap(struct settings *a, struct settings *b, enum setting which)
{
	uint8_t was[sizeof(struct setting_list)];
	size_t n = value_bytes(which);

	memcpy(was, value_at(a, which), n);
	memcpy(value_at(a, which), value_at(b, which), n);
	memcpy(value_at(b, which), was, n);
}

int setting_find(struct span key, struct err *e)
{
	const char *names[SETTING_COUNT], *near;

	for (int i = 0; i < SETTING_COUNT; i++) {
		names[i] = setting_rows[i].key;
		if (span_eq(key, span_str(names[i])))
			return i;
	}
	near = nearest_name(key, names, SETTING_COUNT);
	return err_set(e, -ENOENT, "%.*s: there is no such setting%s%s%s", (int)MIN(key.len, 80U),
		       (const char *)key.ptr, near ? "; '" : "", near ? near : "",
		       near ? "' is near" : "");
}

void setting_print(const struct settings *s, enum setting which, struct buf *out)
{
	const struct setting_list *l = value_of(s, which);
	struct json j = json_to(out);

	if (setting_rows[which].type == SETTING_TYPE_TEXT) {
		json_str(&j, *(char *const *)value_of(s, which));
		return;
	}
	if (setting_rows[which].type != SETTING_TYPE_LIST) {
		add_number(out, which, number_of(s, which));
		return;
	}
	json_array_begin(&j);
	for (size_t i = 0; i < l->count; i++)
		json_str(&j, l->items[i]);
	json_array_end(&j);
}

void setting_default_text(enum setting which, struct buf *out)
{
	if (setting_rows[which].text)
		buf_add_str(out, setting_rows[which].text);
	else
		add_number(out, which, setting_rows[which].number);
}
