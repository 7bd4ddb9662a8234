// SPDX-License-Identifier: Apache-2.0
#include "http-api/namespaces.h"

#include "store/reader.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

/*
 * Theory of operation
 *
 * Names are only added. One thread at a time asks the store, with a reader of its own that remembers
 * which tapes have said theirs; others take what is known meanwhile, and only who comes before
 * anything is known waits for it. More than NAMESPACES_MAX are not kept: the list is then full, and
 * so long that nobody is asked for each of them (http-api/kube_access.h).
 */

struct namespaces {
	pthread_mutex_t lock;
	pthread_cond_t known;
	struct name_list names;
	uint64_t asked_ns;
	bool is_known, is_asking;
	/* of the thread that asks */
	struct reader *reader;
	struct name_list found;
	char dir[];
};

struct namespaces *namespaces_new(const char *store_dir)
{
	struct namespaces *n = calloc(1, sizeof(*n) + strlen(store_dir) + 1);

	if (!n)
		return NULL;
	(void)pthread_mutex_init(&n->lock, NULL);
	(void)pthread_cond_init(&n->known, NULL);
	memcpy(n->dir, store_dir, strlen(store_dir) + 1);
	return n;
}

void namespaces_free(struct namespaces *n)
{
	if (!n)
		return;
	reader_close(n->reader);
	name_list_fini(&n->names);
	name_list_fini(&n->found);
	(void)pthread_cond_destroy(&n->known);
	(void)pthread_mutex_destroy(&n->lock);
	free(n);
}

static int note_name(void *ctx, struct span name)
{
	struct namespaces *n = ctx;
	int r = n->found.count < NAMESPACES_MAX ? name_list_add(&n->found, name) : 0;

	return r == -EINVAL ? 0 : r; /* a name with a NUL is no namespace */
}

/* Without the lock, by the one thread that asks. */
static int ask_store(struct namespaces *n, struct err *e)
{
	struct err why = {0};
	int r = n->reader ? 0 : reader_open(n->dir, &n->reader, &why);

	if (r == 0)
		r = reader_namespaces(n->reader, note_name, n, &why);
	return r < 0 ? err_set(e, -EAGAIN, "the store cannot be read") : 0;
}

/* Under the lock: what was found becomes known. */
static int take_found(struct namespaces *n, struct err *e)
{
	int r = 0;

	for (size_t i = 0; i < n->found.count && n->names.count < NAMESPACES_MAX && r == 0; i++)
		r = name_list_add(&n->names, span_str(n->found.all[i]));
	name_list_fini(&n->found);
	return r < 0 ? err_set(e, r, "out of memory") : 0;
}

/* Under the lock, which it gives away meanwhile. */
static int look_again(struct namespaces *n, uint64_t now_ns, struct err *e)
{
	int r;

	n->is_asking = true;
	n->asked_ns = now_ns;
	(void)pthread_mutex_unlock(&n->lock);
	r = ask_store(n, e);
	(void)pthread_mutex_lock(&n->lock);
	n->is_asking = false;
	if (r == 0)
		r = take_found(n, e);
	n->is_known = n->is_known || r == 0;
	(void)pthread_cond_broadcast(&n->known);
	return r;
}

int namespaces_list(struct namespaces *n, uint64_t now_ns, struct name_list *out, struct err *e)
{
	int r = 0;

	(void)pthread_mutex_lock(&n->lock);
	while (!n->is_known && n->is_asking)
		(void)pthread_cond_wait(&n->known, &n->lock);
	if (!n->is_asking && (!n->is_known || now_ns >= n->asked_ns + NAMESPACES_EACH_NS))
		r = look_again(n, now_ns, e);
	for (size_t i = 0; i < n->names.count && r == 0; i++)
		r = name_list_add(out, span_str(n->names.all[i]));
	(void)pthread_mutex_unlock(&n->lock);
	return r == -ENOMEM ? err_set(e, r, "out of memory") : r;
}
