// SPDX-License-Identifier: Apache-2.0
#include "replay/load.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include "replay/conversation.h"
#include "replay/request.h"

/*
 * The loader walks the selection a second time, now with messages, beside the plan: both are in
 * order of id, so it is a merge. What the plan has and the source no longer has is an item with
 * SKIP_GONE; what came since is passed over.
 *
 * The thread that sends must never wait for this one, which may be off its core while it holds a
 * lock. So: batches go over in a list whose mutex the sender only tries; items come back on a
 * stack that needs no lock, and are freed here, where the allocator's locks are taken anyway. The
 * loader sleeps on an eventfd while the items not yet released exceed memory_max.
 */

#define BATCH_ITEMS 32
#define BATCH_BYTES (256 * 1024)
#define LOADER_NICE 5 /* sending goes first where both want one core */

struct load {
	struct load_config config;
	const struct replay_source *source;
	const struct plan *plan;
	pthread_t thread;
	bool is_started;

	/* loader thread alone */
	struct list batch;
	size_t batch_count, batch_bytes;
	size_t cursor; /* next entry of the plan */
	uint32_t loop;
	uint64_t period_ns; /* of one loop */
	struct buf bytes;   /* the request being made */
	size_t head_bytes;  /* of it, for HTTP/2; else 0 */
	/* of a WebSocket, uncompressed; of HTTP/2, in which order both sides spoke */
	struct buf children;

	/* under mutex */
	pthread_mutex_t mutex;
	struct list ready;
	bool is_done;
	struct err err; /* once is_done */
	int result;

	/* both threads */
	_Atomic(struct item *) returned; /* a stack: item.next */
	atomic_size_t held_bytes;
	atomic_bool is_waiting; /* the loader sleeps until there is room */
	atomic_bool is_stopping;
	int room_fd; /* eventfd: there is room, or the end */
};

static void write_event(int fd)
{
	static const uint64_t one = 1;

	(void)!write(fd, &one, sizeof(one));
}

static void free_returned(struct load *l)
{
	struct item *item = atomic_exchange(&l->returned, NULL);

	while (item) {
		struct item *next = item->next;

		free(item);
		item = next;
	}
}

static void move_all(struct list *from, struct list *to)
{
	struct list *n;

	while ((n = list_first(from)) != NULL) {
		list_remove(n);
		list_append(to, n);
	}
}

static bool has_room(struct load *l)
{
	return atomic_load(&l->held_bytes) < l->config.memory_max || atomic_load(&l->is_stopping);
}

/* is_waiting is set before the last look at held_bytes: a release sees one or the other */
static void wait_for_room(struct load *l)
{
	uint64_t events;

	free_returned(l);
	while (!has_room(l)) {
		atomic_store(&l->is_waiting, true);
		if (!has_room(l))
			(void)!read(l->room_fd, &events, sizeof(events));
		atomic_store(&l->is_waiting, false);
		free_returned(l);
	}
}

/* hand the batch over, then wait for room. Return: 0, or 1 when the replay stops. */
static int hand_over(struct load *l)
{
	(void)atomic_fetch_add(&l->held_bytes, l->batch_bytes);
	(void)pthread_mutex_lock(&l->mutex);
	move_all(&l->batch, &l->ready);
	(void)pthread_mutex_unlock(&l->mutex);
	/* behind the unlock: who wakes finds the mutex free, or filled anew and is woken again */
	write_event(l->config.wake_fd);
	l->batch_count = l->batch_bytes = 0;
	wait_for_room(l);
	return atomic_load(&l->is_stopping);
}

/* what the report and the diff need: the request's bytes are on their own */
static struct exchange slim_copy(const struct exchange *x, bool is_sent)
{
	struct exchange slim = *x;

	slim.request.head = slim.request.body = (struct span){0};
	slim.request.framing = slim.request.trailers = (struct span){0};
	slim.response.framing = (struct span){0};
	if (!is_sent)
		slim.response.head = slim.response.body = slim.response.trailers = (struct span){0};
	return slim;
}

static struct item *item_new(const struct exchange *x, struct span bytes)
{
	/* an exchange of any size leaves what follows it unaligned, so bytes come last */
	size_t exchange_at = (sizeof(struct item) + 15) & ~(size_t)15;
	size_t exchange_size = exchange_bytes(x);
	size_t total = exchange_at + exchange_size + bytes.len;
	struct item *item = malloc(total);
	uint8_t *base = (uint8_t *)item;

	if (!item)
		return NULL;
	*item = (struct item){.memory_bytes = total};
	list_init(&item->node);
	list_init(&item->timer);
	list_init(&item->turn);
	item->recorded = exchange_copy(x, base + exchange_at);
	item->bytes = span_of(base + exchange_at + exchange_size, bytes.len);
	if (bytes.len)
		memcpy(base + exchange_at + exchange_size, bytes.ptr, bytes.len);
	return item;
}

static void describe(struct item *item, const struct exchange *x)
{
	item->is_safe = plan_is_safe(x->method);
	item->is_head = span_eq(x->method, SPAN_LIT("HEAD"));
	item->is_pipelined = (x->anomalies & ANOMALY_BIT(PIPELINED)) != 0;
	/* the anomaly may speak of the answer */
	item->is_redacted = (x->anomalies & ANOMALY_BIT(REDACTED)) && item->bytes.len &&
			    span_find(item->bytes, SPAN_LIT("[tl:"));
	item->is_ambiguous = request_is_ambiguous(x);
	if (x->protocol == PROTOCOL_HTTP1 && conversation_is_left(x))
		item->leave_bytes = x->response.body.len;
}

static bool make_request(struct load *l, const struct plan_entry *entry, const struct exchange *x)
{
	const struct plan_link *link = &l->plan->links[entry->link];
	const struct target *target = &l->plan->targets->list[link->target];

	if (!link->is_http2)
		return request_write(&l->bytes, x, l->config.run, l->config.edits, target);
	request_write_head(&l->bytes, x, l->config.run, l->config.edits, target);
	l->head_bytes = l->bytes.len;
	buf_add_span(&l->bytes, x->request.body);
	buf_add_span(&l->bytes, x->request.trailers);
	return true;
}

/* Return: 0, 1 when the replay stops, -ENOMEM */
static int add_item(struct load *l, const struct plan_entry *entry, const struct exchange *x,
		    uint8_t skip)
{
	struct exchange slim;
	struct item *item;

	buf_clear(&l->bytes);
	l->head_bytes = 0;
	if (skip == SKIP_NONE && !make_request(l, entry, x))
		skip = SKIP_INCOMPLETE;
	buf_clear(&l->children);
	if (skip == SKIP_NONE && x->protocol == PROTOCOL_WEBSOCKET)
		skip = (uint8_t)conversation_read(x, &l->children);
	else if (skip == SKIP_NONE && l->head_bytes)
		conversation_order(x, &l->children);
	slim = slim_copy(x, skip == SKIP_NONE);
	slim.children = buf_span(&l->children);
	item = l->bytes.is_failed ? NULL : item_new(&slim, buf_span(&l->bytes));
	if (!item)
		return -ENOMEM;
	describe(item, x);
	item->head_bytes = l->head_bytes;
	item->body_bytes = l->head_bytes ? x->request.body.len : 0;
	item->skip = skip;
	item->is_counted = entry->skip == SKIP_NONE;
	item->link = entry->link;
	item->loop = l->loop;
	item->due_ns = entry->at_ns + l->loop * l->period_ns;
	list_append(&l->batch, &item->node);
	l->batch_count++;
	l->batch_bytes += item->memory_bytes;
	return l->batch_count >= BATCH_ITEMS || l->batch_bytes >= BATCH_BYTES ? hand_over(l) : 0;
}

/* entries of the plan that the source no longer has, up to but not including @id */
static int pass_gone(struct load *l, uint64_t id)
{
	int r = 0;

	while (r == 0 && l->cursor < l->plan->count && l->plan->entries[l->cursor].id < id) {
		const struct plan_entry *entry = &l->plan->entries[l->cursor++];
		struct exchange gone = {.id = entry->id};

		if (l->loop == 0 || entry->skip == SKIP_NONE)
			r = add_item(l, entry, &gone, entry->skip ? entry->skip : SKIP_GONE);
	}
	return r;
}

static int on_exchange(void *ctx, const struct exchange *x)
{
	struct load *l = ctx;
	int r = pass_gone(l, x->id);
	const struct plan_entry *entry;
	uint8_t skip;

	if (r != 0 || l->cursor == l->plan->count)
		return r ? r : 1;
	entry = &l->plan->entries[l->cursor];
	if (entry->id != x->id)
		return 0;
	l->cursor++;
	skip = entry->skip;
	if (skip == SKIP_NONE)
		skip = (uint8_t)plan_judge(&l->plan->rules, x, true);
	if (skip != SKIP_NONE && l->loop > 0 && entry->skip != SKIP_NONE)
		return 0;
	return add_item(l, entry, x, skip);
}

static int load_loop(struct load *l, struct err *e)
{
	int r;

	l->cursor = 0;
	r = l->source->list(l->source->ctx, true, on_exchange, l, e);
	if (r >= 0)
		r = pass_gone(l, UINT64_MAX);
	return r;
}

static void *load_thread(void *arg)
{
	struct load *l = arg;
	struct err e = {0};
	int r = 0;

	(void)pthread_setname_np(pthread_self(), "replay-load");
	(void)setpriority(PRIO_PROCESS, (id_t)gettid(), LOADER_NICE);
	for (l->loop = 0; l->loop < l->config.loops && r >= 0; l->loop++) {
		r = load_loop(l, &e);
		if (hand_over(l) != 0)
			break;
	}
	if (r == -ENOMEM)
		(void)err_set(&e, r, "out of memory while fetching exchanges");
	(void)pthread_mutex_lock(&l->mutex);
	l->is_done = true;
	l->err = e;
	l->result = MIN(r, 0);
	(void)pthread_mutex_unlock(&l->mutex);
	write_event(l->config.wake_fd);
	return NULL;
}

/* the thread takes no signals: they are for the one that waits in epoll */
static int start_thread(struct load *l)
{
	sigset_t all, before;
	int r;

	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&l->thread, NULL, load_thread, l);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	l->is_started = r == 0;
	return -r;
}

int load_start(const struct load_config *config, const struct replay_source *source,
	       const struct plan *plan, struct load **l_out, struct err *e)
{
	AUTO(load) l = calloc(1, sizeof(*l));
	int r;

	if (!l)
		return err_set(e, -ENOMEM, "out of memory");
	l->room_fd = -1;
	l->config = *config;
	l->source = source;
	l->plan = plan;
	l->period_ns = schedule_period_ns(&plan->schedule);
	list_init(&l->batch);
	list_init(&l->ready);
	(void)pthread_mutex_init(&l->mutex, NULL);
	l->room_fd = eventfd(0, EFD_CLOEXEC);
	if (l->room_fd < 0)
		return err_set(e, -errno, "cannot make an eventfd: %s", strerror(errno));
	r = start_thread(l);
	if (r < 0)
		return err_set(e, r, "cannot start a thread: %s", strerror(-r));
	*l_out = TAKE(l);
	return 0;
}

static void free_all(struct list *items)
{
	struct list *n;

	while ((n = list_first(items)) != NULL) {
		list_remove(n);
		free(item_of(n));
	}
}

void load_stop(struct load *l)
{
	if (!l)
		return;
	if (l->is_started) {
		atomic_store(&l->is_stopping, true);
		write_event(l->room_fd);
		(void)pthread_join(l->thread, NULL);
	}
	free_returned(l);
	free_all(&l->batch);
	free_all(&l->ready);
	buf_fini(&l->bytes);
	buf_fini(&l->children);
	if (l->room_fd >= 0)
		(void)close(l->room_fd);
	(void)pthread_mutex_destroy(&l->mutex);
	free(l);
}

bool load_take(struct load *l, struct list *to)
{
	bool is_done;

	if (pthread_mutex_trylock(&l->mutex) != 0)
		return true; /* it is being filled just now: the next turn will find it */
	move_all(&l->ready, to);
	is_done = l->is_done;
	(void)pthread_mutex_unlock(&l->mutex);
	return !is_done;
}

void load_release(struct load *l, struct item *item)
{
	size_t bytes = item->memory_bytes;
	size_t held;

	item->next = atomic_load(&l->returned);
	while (!atomic_compare_exchange_weak(&l->returned, &item->next, item))
		;
	held = atomic_fetch_sub(&l->held_bytes, bytes) - bytes;
	if (atomic_load(&l->is_waiting) && held <= l->config.memory_max / 4 * 3)
		write_event(l->room_fd);
}

int load_error(struct load *l, struct err *e)
{
	if (l->result < 0)
		*e = l->err;
	return l->result;
}
