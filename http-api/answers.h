// SPDX-License-Identifier: Apache-2.0
/* answers.h - what an API server answered, kept for a while. Any thread. */
#pragma once

#include "kube/review.h"

#define ANSWER_KEY_BYTES 32

struct answers;

struct answer {
	bool is_yes;
	struct review_user *user; /* a reference, or NULL */
};

/* answers_new() - room for @max of them; the one that ends first makes room. NULL: no memory */
struct answers *answers_new(size_t max) MUST_USE;
void answers_free(struct answers *a); /* accepts NULL */
/* answers_find() - @out: with a reference of the caller's. Return: is it known at @now_ns? */
bool answers_find(struct answers *a, const uint8_t key[ANSWER_KEY_BYTES], uint64_t now_ns,
		  struct answer *out);
/* answers_keep() - until @until_ns; takes a reference of its own */
void answers_keep(struct answers *a, const uint8_t key[ANSWER_KEY_BYTES], const struct answer *x,
		  uint64_t now_ns, uint64_t until_ns);
