// SPDX-License-Identifier: Apache-2.0
/* internal.h - what struct record holds; for the files of record/ alone */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "lib/buf.h"
#include "lib/ring.h"
#include "record/capture.h"
#include "record/recorder.h"
#include "record/shares.h"

/* New redaction rules on their way to the capture thread. */
struct redaction_rules {
	bool is_redacting;
	char **headers, **params; /* owned, each list ends with NULL */
};

struct record {
	struct record_config config;

	/* capture thread (the caller of record_file()) */
	struct wire *wire;
	struct counters capture_counters;
	struct buf direct;	 /* decode only: the one exchange that is being made */
	struct capture *capture; /* NULL: files only */
	_Atomic uint64_t beats;	 /* of the capture thread: it lives */

	/* between the two */
	struct shares *shares;	     /* of the ring; live captures of pods */
	size_t reserved_bytes;	     /* of the exchange that is being made; capture thread */
	struct ring *ring;	     /* NULL: decode only, there is no recorder thread */
	int work_fd, room_fd;	     /* eventfds: something to record; room in the ring again */
	_Atomic bool recorder_waits; /* on work_fd */
	_Atomic bool capture_waits;  /* on room_fd */
	_Atomic bool is_stopping;    /* nothing more comes */
	_Atomic bool has_failed;     /* the store; files only */
	/* letter boxes: what main put in belongs to the thread that takes it out */
	_Atomic(struct redaction_rules *) rules_box;
	_Atomic(struct recorder_change *) change_box;
	_Atomic(struct residents *) residents_box;
	_Atomic bool has_held; /* what is captured of some pods is not read yet */
	_Atomic(const struct census *) census_box;   /* what the thread of names put in */
	_Atomic(struct tapconfigs *) tapconfigs_box; /* likewise */

	/* the thread that offers */
	struct ring *guests; /* NULL: nobody does */
	struct counters guest_counters;
	uint64_t left_guests; /* recorder thread: that the store did not take at the last look */

	/* recorder thread */
	struct recorder *recorder;
	struct views *views; /* NULL: an exchange is captured once */
	uint64_t left_count; /* exchanges in the ring when it was left, all of them looked at */
	struct counters recorder_counters;
	pthread_t thread;
	bool has_thread;
};

/* record_wake() - let the recorder see what was committed to the ring. Thread: capture. */
void record_wake(struct record *r);
/* record_wake_if_much() - the same, unless it can wait for the next tick. Thread: capture. */
void record_wake_if_much(struct record *r);
/* record_apply() - take new redaction rules out of the box. Thread: capture. */
void record_apply(struct record *r);
void record_change_fini(struct record *r); /* record/change.c: what nobody took out of the boxes */
void record_ring(int fd);		   /* wake who sleeps on that eventfd */

/* record/capture.c */
/* record_count_handed() - so many packets came out of the kernel: it had received them, whether or not it was
 * asked since. Thread: capture. */
void record_count_handed(struct record *r, uint64_t packets);
int capture_start(struct capture *c, struct record *r, struct err *e) MUST_USE; /* the thread */
/* capture_stop() - read what the kernel has already taken, end the thread; accepts NULL */
void capture_stop(struct capture *c);
