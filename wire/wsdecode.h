// SPDX-License-Identifier: Apache-2.0
/*
 * wsdecode.h - compressed messages in the later parts of a WebSocket conversation, decoded when they come
 *
 * A compressed message refers to those before it, which a reader of a later part does not have. So they are kept
 * compressed in the first part only. Zero-initialised it is not begun. Thread: capture.
 */
#pragma once

#include "lib/buf.h"
#include "wire/pair.h"

struct wsdeflate;

struct wsdecode {
	/* NULL: not begun, or given up for want of memory or because of a bomb */
	struct wsdeflate *deflate;
	bool is_begun;
};

/* wsdecode_begin() - the first part of @p is about to be written: read what it has, for later messages refer to it */
void wsdecode_begin(struct wsdecode *d, struct pair *p);
/**
 * wsdecode_message() - a message of a later part
 * @child:   is_compressed is taken off it; or, where it cannot be read, has_gap is set
 * @payload: as it was on the wire
 * @room:    the caller's; cleared and used
 *
 * Return: true when @room holds the message as its receiver read it.
 */
bool wsdecode_message(struct wsdecode *d, const struct conn *c, struct child *child,
		      const struct chain *payload, struct buf *room);
void wsdecode_end(struct wsdecode *d, struct wire *w);
