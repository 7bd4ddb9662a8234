// SPDX-License-Identifier: Apache-2.0
/*
 * plan.h - a selection made into an ordered list: what is sent when, on which connection, where to
 *
 * 24 bytes an exchange; messages are not held here, they are fetched ahead of their time (load.h).
 */
#pragma once

#include "lib/err.h"
#include "replay/schedule.h"
#include "replay/target.h"

enum skip {
#define SKIP(NAME, name, what) SKIP_##NAME,
#include "replay/verdicts.tbl.h"
#undef SKIP
	SKIP_COUNT
};

const char *skip_name(unsigned skip);
const char *skip_what(unsigned skip); /* one sentence */

struct plan_entry {
	uint64_t id;
	/* due, from the beginning of a loop; skipped ones: when they would have been */
	uint64_t at_ns;
	uint32_t link; /* index into plan.links; skipped ones: 0 */
	uint8_t skip;  /* enum skip */
};

/* A recorded connection, replayed as one. */
struct plan_link {
	uint64_t connection; /* as recorded; 0: of one exchange whose connection is not known */
	uint32_t count;	     /* exchanges to send in one loop */
	uint16_t target;     /* index into targets */
	bool is_http2;	     /* what is spoken on it */
};

struct plan_rules {
	bool allows_unsafe;
	bool allows_replayed; /* selected by id: by no accident */
	/*
	 * One of several replays of the same selection, which together send all of it: each takes whole
	 * connections, so order on a connection holds, and keeps the times of the whole. 0 shards: all.
	 */
	uint32_t shard, shards;
};

struct plan {
	struct plan_entry *entries; /* in order of id, which is order of time */
	size_t count;
	struct plan_link *links;
	size_t link_count;
	struct schedule schedule;
	uint64_t skipped[SKIP_COUNT];
	uint64_t send_count;
	uint64_t elsewhere_count;    /* selected, but of other shards */
	uint64_t at_recorded_count;  /* whose target is where they were recorded */
	uint64_t in_namespace_count; /* not that, but in the same namespace of the cluster */
	uint64_t first_ns, last_ns;  /* recorded times of the ones to send */

	/* private to plan.c */
	struct plan_rules rules;
	const struct targets *targets;
	size_t entries_cap, links_cap;
	uint32_t *index; /* hash of connection -> link + 1 */
	size_t index_cap;
};

/* plan_init() - @targets is borrowed for the plan's life */
void plan_init(struct plan *p, const struct schedule_config *schedule,
	       const struct plan_rules *rules, const struct targets *targets);
void plan_fini(struct plan *p);
/**
 * plan_add() - the next exchange of the selection, oldest first; messages are not looked at
 *
 * Return: 0, with the new entry at p->entries[p->count - 1] unless it is of another shard; -EINVAL when it is older than the one
 * before; -E2BIG over 2^32 exchanges; -ENOMEM.
 */
int plan_add(struct plan *p, const struct exchange *x, struct err *e) MUST_USE;

/*
 * plan_judge() - may this request be sent as it was recorded?
 * @has_messages: x->request's flags and spans are filled in, not only the fields
 */
enum skip plan_judge(const struct plan_rules *rules, const struct exchange *x, bool has_messages);
/* plan_is_ours() - is it of the shard that the rules name? */
bool plan_is_ours(const struct plan_rules *rules, const struct exchange *x);
/* plan_is_safe() - RFC 9110 9.2.1 */
bool plan_is_safe(struct span method);
