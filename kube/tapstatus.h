// SPDX-License-Identifier: Apache-2.0
/*
 * tapstatus.h - the status of a TapConfig: what a node's daemon has to say, and how that becomes one status of many nodes
 *
 * Pure: no clock, nothing is sent. Thread: any.
 */
#pragma once

#include <jansson.h>

#include "kube/fault.h"

#define TAPSTATUS_NODES_MAX 5000 /* entries; what is beyond is not written */

/* What one node's daemon knows of a TapConfig. All is borrowed. */
struct tapreport {
	const char *node;
	uint64_t generation;	   /* of the spec that was looked at */
	const struct fault *fault; /* NULL: it is accepted */
	const json_t *applied;	   /* the spec that is in force; NULL: none ever was good */
	uint64_t applied_generation;
	uint64_t pods;	    /* of this node that it selects */
	uint64_t exchanges; /* recorded by this node, also by daemons before this one */
	/* does the node exist? Entries of those that do not are taken out. NULL: nobody can tell */
	bool (*has_node)(void *ctx, const char *name);
	void *ctx;
};

enum tapstatus_need {
	TAPSTATUS_FINE,	  /* it says what we would say */
	TAPSTATUS_COUNTS, /* our numbers are others: when it is time */
	TAPSTATUS_SPEC,	  /* nobody has said yet what is thought of this spec: soon */
};

/* tapstatus_need() - does the status want to be written? @status: as it is; NULL: there is none */
enum tapstatus_need tapstatus_need(const json_t *status, const struct tapreport *r);
/**
 * tapstatus_patch() - a merge patch (RFC 7396) for the subresource status
 * @version: resourceVersion of the object that @status is of: who was slower is told so (409)
 * @now_ns:  [wall ns]
 *
 * Other nodes' entries stay; the sums are those of all entries that are then there.
 *
 * Return: to be json_decref()ed; NULL: no memory.
 */
json_t *tapstatus_patch(const json_t *status, const char *version, const struct tapreport *r,
			uint64_t now_ns) MUST_USE;
/* tapstatus_exchanges() - what the node has written there, perhaps a daemon before this one; 0: nothing */
uint64_t tapstatus_exchanges(const json_t *status, const char *node);
/* tapstatus_applied() - the last spec that was accepted, by whichever node; NULL: none. To be
 * json_decref()ed. */
json_t *tapstatus_applied(const json_t *status, uint64_t *generation_out);
