// SPDX-License-Identifier: Apache-2.0
#include "store/jobs.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

struct jobs {
	void (*run)(void *ctx, void (*work)(void *arg), void *arg);
	void *ctx;
	pthread_mutex_t lock;
	pthread_cond_t ended;
	size_t open; /* started, not ended; under lock */
};

struct job {
	struct jobs *jobs;
	void (*work)(void *arg);
	void *arg;
};

struct jobs *jobs_new(void (*run)(void *ctx, void (*work)(void *arg), void *arg), void *ctx)
{
	struct jobs *j = calloc(1, sizeof(*j));

	if (!j)
		return NULL;
	j->run = run;
	j->ctx = ctx;
	(void)pthread_mutex_init(&j->lock, NULL);
	(void)pthread_cond_init(&j->ended, NULL);
	return j;
}

void jobs_wait(struct jobs *j)
{
	(void)pthread_mutex_lock(&j->lock);
	while (j->open)
		(void)pthread_cond_wait(&j->ended, &j->lock);
	(void)pthread_mutex_unlock(&j->lock);
}

void jobs_free(struct jobs *j)
{
	if (!j)
		return;
	jobs_wait(j);
	(void)pthread_mutex_destroy(&j->lock);
	(void)pthread_cond_destroy(&j->ended);
	free(j);
}

static void run_job(void *arg)
{
	struct job job = *(struct job *)arg;

	free(arg);
	job.work(job.arg);
	(void)pthread_mutex_lock(&job.jobs->lock);
	if (--job.jobs->open == 0)
		(void)pthread_cond_broadcast(&job.jobs->ended);
	(void)pthread_mutex_unlock(&job.jobs->lock);
}

int jobs_start(struct jobs *j, void (*work)(void *arg), void *arg)
{
	struct job *job;

	if (!j->run) {
		work(arg);
		return 0;
	}
	job = malloc(sizeof(*job));
	if (!job)
		return -ENOMEM;
	*job = (struct job){j, work, arg};
	(void)pthread_mutex_lock(&j->lock);
	j->open++;
	(void)pthread_mutex_unlock(&j->lock);
	j->run(j->ctx, run_job, job);
	return 0;
}
