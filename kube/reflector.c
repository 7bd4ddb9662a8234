// SPDX-License-Identifier: Apache-2.0
#include "kube/reflector.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "lib/clock.h"
#include "lib/json_scan.h"

/*
 * Theory of operation (Kubernetes API concepts: efficient detection of changes).
 *
 *	          all pages                        ended, after a while: watch on
 *	LIST ───────────────────► WATCH ◄──────────────┐
 *	  ▲   resourceVersion       │ ─────────────────┘
 *	  └─────────────────────────┘
 *	     410: too old, as a status or as an event
 *
 * A list comes in pages. Its items are cut out of the text and read one by one: a page as one tree
 * would take ten times its size. A page that has expired begins the list anew. A watch begins at the
 * list's resourceVersion and moves on with each event; bookmarks move it on where nothing happens,
 * so that it need not be listed again after a break. Items of lists have no kind, bookmarks nothing
 * but a version.
 *
 * What fails is tried again after a wait that doubles, with jitter, so that a thousand nodes do not
 * come back at once; a Retry-After is obeyed. A watch that ends in order is renewed at once, unless
 * it had lived for less than a second.
 */
#define PAGE_ITEMS    100
#define WATCH_MIN_S   290 /* how long a watch is asked for: from this to twice as long */
#define WAIT_FIRST_NS (500 * NS_PER_MS)
#define WAIT_MAX_NS   (30 * NS_PER_S)
#define WAIT_ABSENT_NS                                                                             \
	(120 * NS_PER_S) /* the resource is not served at all: somebody must install it first */
#define SHORT_WATCH_NS NS_PER_S
#define LIVE_AFTER_NS                                                                              \
	(6 *                                                                                       \
	 NS_PER_S) /* a watch after a failure that stands so long, though nothing is said, is one */
#define VERSION_MAX 64
#define ANSWER_MAX  (32 << 20)

enum phase { PHASE_LIST, PHASE_WATCH };

struct reflector {
	struct kube_client *client;
	struct reflector_config config;
	enum phase phase;
	struct kube_call *call; /* NULL: nothing is under way */
	struct kube_lines lines;
	struct buf next_page; /* token; empty: the first */
	char version[VERSION_MAX];
	uint64_t due_ns, wait_ns, began_ns;
	uint64_t random;
	bool has_expired; /* the watch said so */
	struct err said;  /* by an ERROR event */
	struct reflector_counts counts;
};

struct reflector *reflector_new(struct kube_client *c, const struct reflector_config *config,
				uint64_t seed)
{
	struct reflector *r = calloc(1, sizeof(*r));

	if (r) {
		r->client = c;
		r->config = *config;
		r->random = seed | 1;
	}
	return r;
}

void reflector_free(struct reflector *r)
{
	if (!r)
		return;
	kube_call_cancel(r->call);
	kube_lines_fini(&r->lines);
	buf_fini(&r->next_page);
	free(r);
}

void reflector_change_path(struct reflector *r, const char *path)
{
	r->config.path = path;
	r->due_ns = 0;
}

void reflector_hurry(struct reflector *r)
{
	r->due_ns = 0;
}

void reflector_counts(const struct reflector *r, struct reflector_counts *out)
{
	*out = r->counts;
}

/* xorshift: to scatter, not to surprise */
static uint64_t random_below(struct reflector *r, uint64_t n)
{
	r->random ^= r->random << 13;
	r->random ^= r->random >> 7;
	r->random ^= r->random << 17;
	return r->random % n;
}

static void set_live(struct reflector *r, bool is_live, const struct err *why)
{
	bool was = r->counts.is_live;

	r->counts.is_live = is_live;
	if (was != is_live || why)
		r->config.state(r->config.ctx, is_live, why);
}

static void wait_more(struct reflector *r, uint64_t at_least_ns, uint64_t most_ns)
{
	r->wait_ns = r->wait_ns ? MIN(r->wait_ns * 2, most_ns) : WAIT_FIRST_NS;
	r->due_ns = clock_mono_ns() +
		    MAX(r->wait_ns / 2 + random_below(r, r->wait_ns / 2 + 1), at_least_ns);
}

static void begin_list(struct reflector *r)
{
	r->phase = PHASE_LIST;
	buf_clear(&r->next_page);
}

/* ---- texts ---- */

static struct json_scan member(const struct json_scan *object, const char *name)
{
	return json_scan_member(object, span_str(name));
}

/* A version is opaque, and goes into a URL. */
static void take_version(struct reflector *r, const struct json_scan *meta)
{
	struct json_scan v = member(meta, "resourceVersion");

	if (v.type != JSON_SCAN_TEXT || v.has_escapes || !v.text.len || v.text.len >= VERSION_MAX)
		return;
	memcpy(r->version, v.text.ptr, v.text.len);
	r->version[v.text.len] = '\0';
}

/* An object's text as a tree, for whoever listens. */
static void hand_out(struct reflector *r, enum reflector_event what, const struct json_scan *object)
{
	size_t n = (size_t)(object->behind.ptr - object->text.ptr);
	json_t *tree = object->type == JSON_SCAN_OBJECT
			       ? json_loadb((const char *)object->text.ptr, n, 0, NULL)
			       : NULL;

	if (tree)
		r->config.event(r->config.ctx, what, tree);
	else
		r->counts.failures++;
	json_decref(tree);
	r->counts.events++;
}

static void add_escaped(struct buf *out, struct span s)
{
	for (size_t i = 0; i < s.len; i++) {
		bool is_plain = (s.ptr[i] | 0x20) >= 'a' && (s.ptr[i] | 0x20) <= 'z';

		if (is_plain || (s.ptr[i] >= '0' && s.ptr[i] <= '9') || s.ptr[i] == '-' ||
		    s.ptr[i] == '.' || s.ptr[i] == '_')
			buf_add_char(out, (char)s.ptr[i]);
		else
			buf_add_fmt(out, "%%%02X", s.ptr[i]);
	}
}

/* ---- list ---- */

static void take_items(struct reflector *r, const struct json_scan *items)
{
	struct json_scan_iter it = {.rest = items->text};

	while (items->type == JSON_SCAN_ARRAY && json_scan_next(&it))
		hand_out(r, REFLECTOR_ITEM, &it.value);
}

static void take_page(struct reflector *r, struct span text)
{
	struct json_scan root = json_scan_value(text), meta = member(&root, "metadata");
	struct json_scan items = member(&root, "items"), next = member(&meta, "continue");

	r->wait_ns = 0;
	if (!r->next_page.len)
		r->config.event(r->config.ctx, REFLECTOR_BEGIN, NULL);
	take_items(r, &items);
	buf_clear(&r->next_page);
	if (next.type == JSON_SCAN_TEXT && next.text.len) {
		buf_add_span(&r->next_page, next.text);
		return;
	}
	take_version(r, &meta);
	r->counts.is_synced = true;
	r->phase = PHASE_WATCH;
	r->config.event(r->config.ctx, REFLECTOR_END, NULL);
	set_live(r, true, NULL);
}

static void on_list(void *ctx, int result, struct kube_answer *a, const struct err *e)
{
	struct reflector *r = ctx;

	r->call = NULL;
	if (result == 0) {
		r->counts.heard_ns = clock_mono_ns();
		r->due_ns = 0;
		take_page(r, buf_span(&a->body));
		return;
	}
	r->counts.failures++;
	r->counts.expired += result == -ESTALE;
	begin_list(r);
	set_live(r, false, e);
	wait_more(r, a->retry_after_ms * NS_PER_MS,
		  result == -ENOENT ? WAIT_ABSENT_NS : WAIT_MAX_NS);
}

static void ask_list(struct reflector *r)
{
	AUTO_BUF path = {0};
	struct kube_request q = {.accept = r->config.accept, .answer_max = ANSWER_MAX};
	struct err e = {0};

	buf_add_fmt(&path, "%s?limit=%d", r->config.path, PAGE_ITEMS);
	if (r->next_page.len) {
		buf_add_str(&path, "&continue=");
		add_escaped(&path, buf_span(&r->next_page));
	}
	q.path = buf_cstr(&path);
	r->counts.lists++;
	if (kube_call(r->client, &q, NULL, on_list, r, &r->call, &e) < 0) {
		r->counts.failures++;
		set_live(r, false, &e);
		wait_more(r, 0, WAIT_MAX_NS);
	}
}

/* ---- watch ---- */

static int take_error(struct reflector *r, const struct json_scan *object)
{
	struct json_scan code = member(object, "code"), message = member(object, "message");

	r->has_expired = code.type == JSON_SCAN_INT && code.number == 410;
	(void)err_set(&r->said, r->has_expired ? -ESTALE : -EPROTO, "%s: %.*s", r->config.path,
		      (int)MIN(message.text.len, (size_t)300), (const char *)message.text.ptr);
	return -ECANCELED;
}

static int take_line(void *ctx, struct span line)
{
	struct reflector *r = ctx;
	struct json_scan root = json_scan_value(line), type = member(&root, "type");
	struct json_scan object = member(&root, "object"), meta = member(&object, "metadata");

	r->counts.heard_ns = clock_mono_ns();
	set_live(r, true, NULL);
	if (span_eq(type.text, SPAN_LIT("ERROR")))
		return take_error(r, &object);
	if (span_eq(type.text, SPAN_LIT("ADDED")) || span_eq(type.text, SPAN_LIT("MODIFIED")))
		hand_out(r, REFLECTOR_ITEM, &object);
	else if (span_eq(type.text, SPAN_LIT("DELETED")))
		hand_out(r, REFLECTOR_DELETED, &object);
	else if (!span_eq(type.text, SPAN_LIT("BOOKMARK")))
		r->counts.failures++; /* something that later servers say */
	take_version(r, &meta);
	r->wait_ns = 0;
	return 0;
}

static int on_watched(void *ctx, struct span bytes)
{
	struct reflector *r = ctx;

	return kube_lines_add(&r->lines, bytes, take_line, r);
}

static void on_watch_end(void *ctx, int result, struct kube_answer *a, const struct err *e)
{
	struct reflector *r = ctx;
	bool was_short = clock_mono_ns() - r->began_ns < SHORT_WATCH_NS;
	bool has_expired = r->has_expired || result == -ESTALE;
	bool has_failed = result != 0 && !has_expired;

	r->call = NULL;
	r->due_ns = 0;
	kube_lines_fini(&r->lines);
	r->counts.expired += has_expired;
	r->counts.failures += has_failed;
	if (has_expired || (has_failed && a->status >= 400 && a->status != 429 && a->status < 500))
		begin_list(r);
	if (has_failed)
		set_live(r, false, r->said.code ? &r->said : e);
	if (has_failed || was_short)
		wait_more(r, a->retry_after_ms * NS_PER_MS, WAIT_MAX_NS);
}

static void ask_watch(struct reflector *r)
{
	AUTO_BUF path = {0};
	struct kube_request q = {.accept = r->config.accept_watch};
	struct err e = {0};
	uint64_t seconds = WATCH_MIN_S + random_below(r, WATCH_MIN_S);

	buf_add_fmt(&path, "%s?watch=1&allowWatchBookmarks=true&timeoutSeconds=%" PRIu64,
		    r->config.path, seconds);
	buf_add_str(&path, "&resourceVersion=");
	add_escaped(&path, span_str(r->version));
	q.path = buf_cstr(&path);
	/* the server ends it; one that has forgotten it is left some time later */
	q.timeout_ms = (seconds + 60) * 1000;
	r->has_expired = false;
	r->said = (struct err){0};
	r->began_ns = clock_mono_ns();
	r->counts.watches++;
	if (kube_call(r->client, &q, on_watched, on_watch_end, r, &r->call, &e) < 0) {
		r->counts.failures++;
		set_live(r, false, &e);
		wait_more(r, 0, WAIT_MAX_NS);
	}
}

uint64_t reflector_tick(struct reflector *r, uint64_t now_ns)
{
	if (r->call && r->phase == PHASE_WATCH && !r->counts.is_live) {
		if (now_ns - r->began_ns < LIVE_AFTER_NS)
			return r->began_ns + LIVE_AFTER_NS - now_ns;
		set_live(r, true, NULL);
	}
	if (r->call)
		return UINT64_MAX;
	if (now_ns < r->due_ns)
		return r->due_ns - now_ns;
	if (r->phase == PHASE_LIST)
		ask_list(r);
	else
		ask_watch(r);
	return r->call ? UINT64_MAX : r->due_ns > now_ns ? r->due_ns - now_ns : 0;
}
