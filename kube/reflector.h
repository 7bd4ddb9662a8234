// SPDX-License-Identifier: Apache-2.0
/*
 * reflector.h - what there is of one resource, and what happens to it: list, then watch
 *
 * Thread: its client's.
 */
#pragma once

#include "kube/client.h"

struct reflector;

enum reflector_event {
	REFLECTOR_BEGIN,   /* a whole list comes; object NULL */
	REFLECTOR_ITEM,	   /* of the list, or added or changed since */
	REFLECTOR_DELETED, /* as it last was */
	REFLECTOR_END,	   /* the list is whole: what was not in it is no more; object NULL */
};

struct reflector_config {
	const char *path; /* "/api/v1/pods"; borrowed */
	/* NULL: application/json; "...;as=PartialObjectMetadataList..." for lists */
	const char *accept;
	const char *accept_watch;
	/* @object: borrowed. Called from kube_client_run(); must not begin or cancel calls. */
	void (*event)(void *ctx, enum reflector_event what, const json_t *object);
	/* it came, or went: @why NULL or what keeps it from coming */
	void (*state)(void *ctx, bool is_live, const struct err *why);
	void *ctx;
};

struct reflector_counts {
	uint64_t lists, watches, expired, failures, events;
	uint64_t heard_ns; /* when the server last said anything of it [monotonic ns]; 0: never */
	bool is_live;	   /* it is being watched */
	bool is_synced;	   /* a whole list has come */
};

struct reflector *reflector_new(struct kube_client *c, const struct reflector_config *config,
				uint64_t seed) MUST_USE;
void reflector_free(struct reflector *r); /* before its client; accepts NULL */
/**
 * reflector_tick() - begin what is due
 * @now_ns: monotonic
 *
 * Return: how long until there may be something to begin [ns]; UINT64_MAX: it waits for an answer.
 */
uint64_t reflector_tick(struct reflector *r, uint64_t now_ns);
/* reflector_change_path() - list something else from now on: the server does not serve this. Lives as long as it. */
void reflector_change_path(struct reflector *r, const char *path);
/* reflector_hurry() - it waits for nothing any more: the server is known to be there */
void reflector_hurry(struct reflector *r);
void reflector_counts(const struct reflector *r, struct reflector_counts *out);
