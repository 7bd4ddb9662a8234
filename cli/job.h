// SPDX-License-Identifier: Apache-2.0
/* job.h - a replay as a Kubernetes Job (batch/v1): its manifest */
#pragma once

#include "cli/source.h"

#define JOB_SHARDS_MAX 1000
#define JOB_TAPES      "/tapes" /* where the claim is mounted */

struct job {
	const char *image, *account;
	const char *claim; /* PersistentVolumeClaim; NULL: none */
	uint64_t shards;   /* pods that share the replay; 1: one */
	const struct source_args *source;
	const struct query_args *query;
	const char *to; /* targets, as they were typed */
	const struct texts *maps;
};

/**
 * job_write() - append the manifest, as YAML
 * @cli: whose options and operands the pods get, with times made absolute
 * @e:   -EINVAL what a pod could not do: a file of this machine, a daemon's socket, a target that is none
 */
int job_write(const struct job *job, const struct cli *cli, struct buf *out,
	      struct err *e) MUST_USE;
