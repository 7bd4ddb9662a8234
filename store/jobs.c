// SPDX-License-Identifier: Apache-2.0
#include "store/jobs.h"

#include <errno.h>
#include <linux/ioprio.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/*
 * Theory of operation. Short jobs go to the thread that the caller has for them. A slow one would
 * hold them up there, so it gets a thread for as long as it runs, which waits for its turn under a
 * lock that nothing else takes.
 */
#define SLOW_NICE 19

struct jobs {
	void (*run)(void *ctx, void (*work)(void *arg), void *arg);
	void *ctx;
	pthread_mutex_t lock;
	pthread_cond_t ended;
	size_t open;	      /* started, not ended; under lock */
	pthread_mutex_t slow; /* held by the slow job that runs */
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
	(void)pthread_mutex_init(&j->slow, NULL);
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
	(void)pthread_mutex_destroy(&j->slow);
	free(j);
}

static void nothing(void *arg)
{
	(void)arg;
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

static struct job *begin_job(struct jobs *j, void (*work)(void *arg), void *arg)
{
	struct job *job = malloc(sizeof(*job));

	if (!job)
		return NULL;
	*job = (struct job){j, work, arg};
	(void)pthread_mutex_lock(&j->lock);
	j->open++;
	(void)pthread_mutex_unlock(&j->lock);
	return job;
}

int jobs_start(struct jobs *j, void (*work)(void *arg), void *arg)
{
	struct job *job;

	if (!j->run) {
		work(arg);
		return 0;
	}
	job = begin_job(j, work, arg);
	if (!job)
		return -ENOMEM;
	j->run(j->ctx, run_job, job);
	return 0;
}

static void *run_slow(void *arg)
{
	struct job *job = arg;
	pthread_mutex_t *slow = &job->jobs->slow;

	/* on Linux a thread has priorities of its own; without them it is only less modest */
	(void)setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), SLOW_NICE);
	(void)syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0,
		      IOPRIO_PRIO_VALUE(IOPRIO_CLASS_IDLE, 0));
	(void)pthread_mutex_lock(slow);
	job->work(job->arg);
	(void)pthread_mutex_unlock(slow);
	job->work = nothing;
	run_job(job);
	return NULL;
}

int jobs_start_slow(struct jobs *j, void (*work)(void *arg), void *arg)
{
	struct job *job;
	pthread_t thread;

	if (!j->run) {
		work(arg);
		return 0;
	}
	job = begin_job(j, work, arg);
	if (!job)
		return -ENOMEM;
	if (pthread_create(&thread, NULL, run_slow, job) != 0) {
		job->work = nothing;
		run_job(job);
		return -ENOMEM;
	}
	(void)pthread_setname_np(thread, "sealer");
	(void)pthread_detach(thread);
	return 0;
}
