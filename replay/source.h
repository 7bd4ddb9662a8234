// SPDX-License-Identifier: Apache-2.0
/* source.h - where a replay takes its exchanges from: a store, a daemon, a file, a test */
#pragma once

#include "lib/err.h"
#include "schema/exchange.h"

/* Return: 0 to go on, 1 to stop, or a negative errno. @x is borrowed for the call. */
typedef int replay_exchange_fn(void *ctx, const struct exchange *x);

struct replay_source {
	void *ctx;
	/*
	 * Every exchange of the selection, each once, in order of id, until @fn returns other than 0.
	 * With @wants_messages heads, bodies and message flags are filled in, else they may be empty.
	 * Called first from the thread that plans, then (once for every loop) from the loader's thread;
	 * never two calls at once. Between two calls exchanges may have come or gone.
	 *
	 * Return: 0, or a negative errno (that of @fn, too).
	 */
	int (*list)(void *ctx, bool wants_messages, replay_exchange_fn *fn, void *fn_ctx,
		    struct err *e);
};
