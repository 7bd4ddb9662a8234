// SPDX-License-Identifier: Apache-2.0
/*
 * pod_taps.h - the capture thread's handles of namespaces that come and go while it runs
 *
 * For capture.c, which hands on what capture_pod_*() are asked. Thread: capture, but for
 * pod_taps_order(), which any one thread may call.
 */
#pragma once

#include "record/handle.h"
#include "record/internal.h"

struct pod_taps;

/* What is asked of the thread. */
enum pod_order_kind { POD_ADD, POD_READ, POD_REPLACE, POD_REMOVE };
struct pod_order {
	enum pod_order_kind kind;
	uint32_t netns;
	uint16_t share;		      /* ADD */
	bool is_held;		      /* ADD */
	struct packet_socket *socket; /* ADD, REPLACE: moves in */
	struct pod_order *next;
};

struct pod_taps *pod_taps_new(const struct capture_pods *config, uint64_t poll_ns) MUST_USE;
void pod_taps_free(struct pod_taps *p); /* accepts NULL; closes what is left */
/* pod_taps_order() - put it into the box and wake the thread. Return: 0; -ENOMEM: the socket is closed. */
int pod_taps_order(struct pod_taps *p, const struct pod_order *order) MUST_USE;

int pod_taps_fd(const struct pod_taps *p); /* readable when there are packets or orders */
void pod_taps_start(struct pod_taps *p, struct record *r);
unsigned pod_taps_read(struct pod_taps *p); /* what is ready. Return: how many handles were */
/* pod_taps_tick() - what waits for time; @is_look: once a second, how busy each is */
void pod_taps_tick(struct pod_taps *p, bool is_look);
void pod_taps_shut(struct pod_taps *p);	  /* nothing more from the kernel */
void pod_taps_finish(struct pod_taps *p); /* after shut and the last read: all are over */
/* pod_taps_stats() - add what the kernel counted, of those that are gone, too */
void pod_taps_stats(struct pod_taps *p, struct handle_stats *sum);
