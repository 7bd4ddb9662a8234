// SPDX-License-Identifier: Apache-2.0
/*
 * tapconfigs.h - what the TapConfigs of all namespaces ask for: which exchanges are recorded, and what is masked in them
 *
 * Made by any thread, the recorder's from then on.
 */
#pragma once

#include "record/tapconfig.h"

struct tapconfigs;

#define TAPCONFIGS_PER_NAMESPACE_MAX 16 /* TapConfigs that are looked at in one namespace */

/**
 * tapconfigs_new() - all that is asked
 * @all: referenced; no more than TAPCONFIGS_PER_NAMESPACE_MAX of one namespace (what is beyond is not looked at)
 * @key: for the tags of secrets: wire_config.redact_key
 *
 * Return: freed with tapconfigs_free(); NULL: no memory.
 */
struct tapconfigs *tapconfigs_new(struct tapconfig *const *all, size_t count,
				  const uint8_t key[32]) MUST_USE;
void tapconfigs_free(struct tapconfigs *t); /* accepts NULL */

/**
 * tapconfigs_redact() - mask what the namespaces of both ends name
 * @t: may be NULL
 *
 * Where neither end is known, what any namespace names. Return: @x, or a copy that lives until the next call, as do
 * its texts; NULL: no memory, it must not be kept as it is.
 */
struct exchange *tapconfigs_redact(struct tapconfigs *t, struct exchange *x, size_t *secrets_out);

enum tapconfigs_answer {
	TAPCONFIGS_SILENT,   /* it is nobody's who has a TapConfig that asks */
	TAPCONFIGS_WANTED,   /* one of them asks for it */
	TAPCONFIGS_UNWANTED, /* none does */
	TAPCONFIGS_SAMPLED,  /* one would, but for its share or rate */
};
/**
 * tapconfigs_judge() - shall it be recorded?
 * @t:          may be NULL
 * @weight_out: WANTED: how many exchanges it stands for; 0: nobody asked for a share. An exchange that has a weight
 *              was judged before and is not sampled again.
 * @now_ns:     monotonic
 *
 * An exchange is its server's namespace's; where the server is in none, its client's.
 */
enum tapconfigs_answer tapconfigs_judge(struct tapconfigs *t, struct filter_scratch *s,
					const struct exchange *x, uint64_t now_ns,
					uint32_t *weight_out);
/* tapconfigs_take_limits() - conditions that reached a limit since it was asked last, and counted as false. @t: may be NULL */
uint64_t tapconfigs_take_limits(struct tapconfigs *t);
/* tapconfigs_recorded() - the one that was judged last is recorded: those who asked for it count it. @t: may be NULL */
void tapconfigs_recorded(struct tapconfigs *t);
