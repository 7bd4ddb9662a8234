// SPDX-License-Identifier: Apache-2.0
#include "record/helper.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/*
 * Theory of operation. A queue of jobs under a mutex: jobs are few (a dictionary in minutes, a
 * checkpoint in seconds), so nothing finer is called for. The lock is never held while a job runs.
 * The caller bounds the queue: the store has one job of each kind under way at a time.
 */
#define HELPER_NICE 10

struct job {
	struct job *next;
	void (*work)(void *arg);
	void *arg;
};

struct helper {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct job *first, **last;
	bool is_finished;
	pthread_t thread;
};

/* The next job, or NULL at the very end. */
static struct job *wait_for_job(struct helper *h)
{
	struct job *job;

	(void)pthread_mutex_lock(&h->lock);
	while (!h->first && !h->is_finished)
		(void)pthread_cond_wait(&h->changed, &h->lock);
	job = h->first;
	if (job)
		h->first = job->next;
	if (!h->first)
		h->last = &h->first;
	(void)pthread_mutex_unlock(&h->lock);
	return job;
}

static void *help(void *arg)
{
	struct helper *h = arg;
	struct job *job;

	/* on Linux a thread has a priority of its own */
	(void)setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), HELPER_NICE);
	while ((job = wait_for_job(h))) {
		job->work(job->arg);
		free(job);
	}
	return NULL;
}

int helper_start(struct helper **h_out, struct err *e)
{
	struct helper *h = calloc(1, sizeof(*h));
	int failed;

	if (!h)
		return err_set(e, -ENOMEM, "helper: out of memory");
	h->last = &h->first;
	(void)pthread_mutex_init(&h->lock, NULL);
	(void)pthread_cond_init(&h->changed, NULL);
	failed = pthread_create(&h->thread, NULL, help, h);
	if (failed) {
		helper_free(h);
		return err_set(e, -failed, "helper thread: %s", strerror(failed));
	}
	(void)pthread_setname_np(h->thread, "helper");
	*h_out = h;
	return 0;
}

void helper_run(void *ctx, void (*work)(void *arg), void *arg)
{
	struct helper *h = ctx;
	struct job *job = malloc(sizeof(*job));

	(void)pthread_mutex_lock(&h->lock);
	if (!job || h->is_finished) {
		(void)pthread_mutex_unlock(&h->lock);
		free(job);
		work(arg);
		return;
	}
	*job = (struct job){.work = work, .arg = arg};
	*h->last = job;
	h->last = &job->next;
	(void)pthread_cond_signal(&h->changed);
	(void)pthread_mutex_unlock(&h->lock);
}

void helper_finish(struct helper *h)
{
	bool was_finished;

	if (!h)
		return;
	(void)pthread_mutex_lock(&h->lock);
	was_finished = h->is_finished;
	h->is_finished = true;
	(void)pthread_cond_signal(&h->changed);
	(void)pthread_mutex_unlock(&h->lock);
	if (!was_finished)
		(void)pthread_join(h->thread, NULL);
}

void helper_free(struct helper *h)
{
	if (!h)
		return;
	(void)pthread_cond_destroy(&h->changed);
	(void)pthread_mutex_destroy(&h->lock);
	free(h);
}
