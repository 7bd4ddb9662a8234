// SPDX-License-Identifier: Apache-2.0
/* replay_config.h - the options of `tapeloop replay`, and what they make of a replay_config */
#pragma once

#include "cli/source.h"
#include "lib/id.h"
#include "replay/replay.h"

enum replay_form { FORM_TABLE, FORM_JSON, FORM_JSONL, FORM_JUNIT };

struct replay_args {
	struct source_args source;
	struct query_args query;
	const char *to;
	struct texts maps, set_headers, del_headers, rewrite_paths, ignores;
	const char *speed;
	double rate;
	uint64_t concurrency, loops, details;
	uint64_t duration_ns, max_gap_ns, timeout_ns;
	const char *proto, *ca, *cert, *key, *server_name;
	const char *shard; /* "0/4" */
	unsigned via;	   /* enum replay_via */
	bool exits_zero, is_job;
	const char *job_image, *job_account, *job_claim;
	uint64_t job_shards;
	bool is_insecure, has_target_host, has_no_defaults, allows_unsafe, is_dry, is_sure, spins;
	unsigned form;
};

extern const struct option_row replay_options[];
struct replay_reach; /* cli/replay_target.h */

/**
 * replay_config_read() - all but what makes no difference
 * @reach: targets in a cluster, found by replay_reach_find(); NULL: there are none
 * @run: id of this run, which @c then points at
 * @e:   -EINVAL and others as the reader of each option
 */
int replay_config_read(const struct replay_args *a, uint64_t now_ns, char run[ID_TEXT_LEN + 1],
		       struct replay_config *c, struct replay_reach **reach,
		       struct err *e) MUST_USE;
/* replay_config_ignores() - what makes no difference; free with ignore_free() */
int replay_config_ignores(const struct replay_args *a, struct ignore **rules_out,
			  struct err *e) MUST_USE;
