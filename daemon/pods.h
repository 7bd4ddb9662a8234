// SPDX-License-Identifier: Apache-2.0
/*
 * pods.h - node mode: a capture handle in each pod's network namespace, from its beginning to its end
 *
 * A thread of its own watches the node; the capture thread reads what it opens.
 */
#pragma once

#include "lib/buf.h"
#include "lib/err.h"
#include "record/capture.h"
#include "record/record.h"

struct pods;

struct pods_config {
	const char *const *directories; /* where namespaces have names; NULL-terminated */
	const char *cri_socket;		/* "auto"; "": do not ask a runtime */
	const char *select;		/* record/pod_select.h */
	/* our socket for sidecars; "": none. Who hands over there is not captured, too */
	const char *handover;
	/* this node's name; "": NODE_NAME of the environment, else the host's */
	const char *node;
	const char *bpf;
	size_t snaplen;
	uint64_t poll_ns;
	uint64_t identify_ns; /* so long an unknown namespace is held */
	size_t buffer_bytes;  /* of a quiet pod's socket */
	size_t ring_bytes;    /* of a busy pod */
	size_t rings_bytes;   /* of all of them */
};

/**
 * pods_open() - what needs privileges or can be refused; to be called with one thread
 * @config: copied; its texts must outlive pods_free()
 * @e:      a filter that does not parse; -EPERM and others of the opener
 */
int pods_open(const struct pods_config *config, struct pods **p_out, struct err *e) MUST_USE;
/* pods_capture() - what the capture must be opened with */
struct capture_pods pods_capture(struct pods *p);
/* pods_start() - begin to watch. @c and @r must outlive pods_stop(). */
int pods_start(struct pods *p, struct capture *c, struct record *r, struct err *e) MUST_USE;
void pods_stop(struct pods *p); /* open and close no more; before record_stop(). Accepts NULL. */
void pods_free(struct pods *p); /* after record_stop(); accepts NULL */

/* pods_select() - another selection, for pods that are there, too. Any thread. Return: as pod_select_new() */
int pods_select(struct pods *p, const char *text, struct err *e) MUST_USE;
/* pods_has_failed() - its opener has ended: no pod that begins now can be captured. Any thread. */
bool pods_has_failed(const struct pods *p);
void pods_gauges(const struct pods *p, struct buf *out); /* for /metrics. Any thread. */
