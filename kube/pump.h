// SPDX-License-Identifier: Apache-2.0
/* pump.h - one forwarded connection, and what all of them share; for kube/pump.c and kube/forward.c. Thread: forward's. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "kube/channels.h"
#include "kube/forward.h"
#include "kube/upgrade.h"
#include "lib/list.h"

#define PUMP_PIECE 16384 /* octets moved at once, each way */

struct kube_line {
	_Atomic int references; /* ours, the caller's */
	_Atomic int error;
	_Atomic(const char *) why;
};

struct pump_text {
	struct pump_text *next;
	char text[];
};

/* A backend, and who of its pods is left out. */
struct pump_group {
	struct kube_forward *forward;
	struct kube_backend backend;
	bool *are_down;	   /* [backend.pod_count] */
	size_t next;	   /* pod, in turn */
	uint64_t asked_ns; /* for the pods there are now [monotonic]; 0: never */
	struct kube_call *asking;
	struct list waiting; /* pumps, until that is answered */
	_Atomic uint64_t connections, failures, left_out;
};

struct kube_forward {
	struct kube_client *client;
	kube_forward_note_fn *note;
	void *note_ctx;
	struct pump_group **groups;
	size_t group_count, group_room;
	struct pump_text *texts; /* each once */
	size_t text_count;
	int epoll_fd, orders[2]; /* a pipe of struct order */
	pthread_t thread;
	bool is_running;
	struct list pumps, dead;
	_Atomic uint32_t count;
	uint8_t scratch[PUMP_PIECE];
};

enum pump_state {
	PUMP_WAITS,    /* for a pod */
	PUMP_CONNECTS, /* to the API server: libcurl's */
	PUMP_ASKS,     /* for the WebSocket: until its answer is whole */
	PUMP_OPEN,
	PUMP_DEAD,
};

struct pump {
	struct list link; /* kube_forward::pumps or ::dead */
	struct list wait; /* pump_group::waiting, or alone */
	struct kube_forward *forward;
	struct pump_group *group;
	struct kube_line *line;
	struct kube_call *call; /* NULL: none */
	int fd, socket;		/* our end of the pair; libcurl's */
	uint8_t state;		/* enum pump_state */
	uint8_t tries;
	bool was_renewed; /* the credential, for this connection */
	bool has_local_ended, has_remote_ended, was_greeted, has_data;
	uint32_t local_events, remote_events; /* that epoll watches for */
	char pod[KUBE_NAME_MAX + 1];
	uint16_t port;
	char key[WS_KEY_BYTES + 1];
	struct buf out, in;   /* to the API server; from it */
	size_t out_at, in_at; /* of those, what has gone */
	struct kube_channels channels;
};

/* of which end epoll speaks: the lowest bit of a pointer is free */
static inline uint64_t pump_tag(const struct pump *p, bool is_remote)
{
	return (uint64_t)(uintptr_t)p | is_remote;
}

/* pump_new() - takes @fd and @line, in any case. NULL without memory. */
struct pump *pump_new(struct kube_forward *f, struct pump_group *g, int fd,
		      struct kube_line *line) MUST_USE;
/* pump_connect() - to p->pod */
void pump_connect(struct pump *p);
/* pump_go() - move what can be moved */
void pump_go(struct pump *p, bool has_hung_up);
/* pump_end() - nothing more comes: @error (0: as connections end) and @why for kube_line_why(); into ::dead */
void pump_end(struct pump *p, int error, const char *why);
void pump_free(struct pump *p);

/* kube/forward.c: what a pump says of its pod */
enum pump_blame {
	PUMP_BLAMES_NOBODY, /* it would be the same with any pod */
	PUMP_BLAMES_POD,
};
/* pump_failed() - before anything was said on it: another pod, or its end */
void pump_failed(struct pump *p, enum pump_blame blame, int error, const char *why);
/* pump_refused() - its pod did not take the connection, which ends */
void pump_refused(struct pump *p, int error, const char *why);
