// SPDX-License-Identifier: Apache-2.0
/* internal.h - what struct record holds; for the files of record/ alone */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "lib/buf.h"
#include "lib/ring.h"
#include "record/recorder.h"

struct record {
	struct record_config config;

	/* capture thread (the caller of record_file()) */
	struct wire *wire;
	struct counters capture_counters;
	struct buf direct; /* decode only: the one exchange that is being made */

	/* between the two */
	struct ring *ring;            /* NULL: decode only, there is no recorder thread */
	int work_fd, room_fd;         /* eventfds: something to record; room in the ring again */
	_Atomic bool recorder_waits;  /* on work_fd */
	_Atomic bool capture_waits;   /* on room_fd */
	_Atomic bool is_stopping;     /* nothing more comes */
	_Atomic bool has_failed;      /* the store; files only */

	/* recorder thread */
	struct recorder *recorder;
	struct counters recorder_counters;
	pthread_t thread;
	bool has_thread;
};

/* record_wake() - let the recorder see what was committed to the ring. Thread: capture. */
void record_wake(struct record *r);
