// SPDX-License-Identifier: Apache-2.0
/* tapkeeper_internal.h - what struct tapkeeper holds; for its files alone */
#pragma once

#include <stdatomic.h>

#include "daemon/tapkeeper.h"
#include "kube/reflector.h"
#include "kube/tapstatus.h"
#include "record/tapconfig.h"

enum tapkeeper_gauge {
	TAPKEEPER_APPLIED,
	TAPKEEPER_REFUSED,
	TAPKEEPER_LIVE,
	TAPKEEPER_WRITES,
	TAPKEEPER_CONFLICTS,
	TAPKEEPER_FAILURES,
	TAPKEEPER_GAUGE_COUNT
};

/* One TapConfig. */
struct tapentry {
	char *name_space, *name, *uid, *created; /* owned */
	char *version;				 /* resourceVersion as last heard; owned */
	uint64_t generation;
	json_t *spec, *status; /* as last heard; status may be NULL */

	struct tapconfig *good; /* the version in force; mute when none ever was good */
	json_t *good_spec;	/* NULL: none */
	uint64_t good_generation;
	struct fault spec_fault;  /* of the newest version; code 0: it is the one in force */
	struct fault crowd_fault; /* it is one too many */
	struct tapconfig_counts *counts;
	bool has_base;
	/* by daemons of this node before this one, once the server has told (has_base) */
	uint64_t counted_before;
	uint64_t pods;

	bool is_heard;	     /* in the list that comes now */
	uint64_t due_ns;     /* when its status is looked at [monotonic] */
	uint64_t wrote_ns;   /* when it was written last; 0: never */
	unsigned lost_count; /* writes in a row that another was faster with */
};

struct tapkeeper {
	struct tapkeeper_config config;
	struct reflector *reflector;
	struct tapentry **entries;
	size_t count, room;
	bool is_listing; /* a list comes: what it lacks is not known yet */
	bool is_changed; /* the recorder is to be told */
	bool wants_census;
	bool is_lost, was_said; /* the server does not tell; and the log has it */
	bool is_recalling;	/* the file tells, not the server */
	json_t *remembered;	/* what the file has; NULL: there is none */
	uint64_t untracked;
	uint64_t random;
	json_t *node_names; /* set: nodes with pods, by the last census; NULL: nobody knows */
	_Atomic bool is_told;
	_Atomic uint64_t gauges[TAPKEEPER_GAUGE_COUNT];
	/* settings that may change: box and what was taken out of it */
	_Atomic uint64_t age_max_ns, failures_age_max_ns, quota_bytes;

	/* tapkeeper_write.c */
	struct kube_call *call; /* NULL: nothing is being written */
	char *writing_uid;	/* whose; owned */
	uint64_t next_write_ns;
};

const struct fault *tapentry_fault(const struct tapentry *e); /* NULL: it is in force as it is */
uint64_t tapkeeper_random(struct tapkeeper *k, uint64_t below);
void tapkeeper_count(struct tapkeeper *k, enum tapkeeper_gauge which);

/* a TapConfig as the server has it */
void tapkeeper_take(struct tapkeeper *k, const json_t *object);

/* tapkeeper_cache.c */
void tapkeeper_remember(struct tapkeeper *k); /* for the next start */
void tapkeeper_recall(struct tapkeeper *k);   /* from the last one */

/* tapkeeper_write.c */
uint64_t tapkeeper_write(struct tapkeeper *k, uint64_t now_ns); /* as tapkeeper_tick() */
void tapkeeper_write_fini(struct tapkeeper *k);
