// SPDX-License-Identifier: Apache-2.0
/*
 * http1_search.h - find where a message begins among bytes whose meaning was lost
 *
 * Thread: any.
 */
#pragma once

#include "wire/http1_head.h"

/*
 * What counts as a beginning, wherever it stands, but not behind a blank (text that talks of HTTP):
 * a well-known method, one space and the first character of a target; or HTTP/1.0 or HTTP/1.1, one
 * space and a status from 100 to 599. For a request http1_search_goes_on() must then agree to the rest
 * of the line.
 */
struct http1_found {
	bool is_found;
	enum http1_kind kind;
	size_t at;     /* where in @in it begins; 0 when behind is set */
	size_t behind; /* it began so many bytes before @in */
};

/**
 * http1_search_in() - the first beginning that ends in @in
 * @kind:   what to look for; HTTP1_ANY: both
 * @before: the newest bytes that were searched before @in, at most HTTP1_TAIL_MAX
 */
struct http1_found http1_search_in(enum http1_kind kind, struct span before, struct span in);
/*
 * http1_search_goes_on() - a request line that was found, or begins a stream: may @c come next?
 * @phase: 0 at the line's first byte; kept by the caller
 */
bool http1_search_goes_on(uint8_t *phase, uint8_t c);
