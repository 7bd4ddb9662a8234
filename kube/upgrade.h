// SPDX-License-Identifier: Apache-2.0
/* upgrade.h - open a WebSocket at the API server (RFC 6455 4): what is asked, what is answered. Thread: any. */
#pragma once

#include "lib/buf.h"
#include "lib/websocket.h"

struct kube_config;

#define KUBE_UPGRADE_HEAD_MAX 16384 /* octets of an answer's head, and of the body of a refusal */

/**
 * kube_upgrade_ask() - append the request
 * @url:      of the API server, with path and query
 * @token:    NULL: the configuration's user and password, if any
 * @protocol: the subprotocol that is wanted
 */
void kube_upgrade_ask(const char *url, const struct kube_config *config, const char *token,
		      const char *key, const char *protocol, struct buf *out);

enum kube_upgrade_state {
	KUBE_UPGRADE_MORE,    /* not all of the answer is there */
	KUBE_UPGRADE_DONE,    /* a WebSocket: .used octets are the head's */
	KUBE_UPGRADE_REFUSED, /* .status, .message */
	KUBE_UPGRADE_BROKEN,  /* .message: no answer of HTTP/1.1, or one to another question */
};

struct kube_upgrade {
	long status;
	size_t used;
	char message[320]; /* one line for people: of a Status object, else the body's beginning */
};

/**
 * kube_upgrade_read() - what the API server says
 * @bytes:   all that came so far
 * @is_end:  nothing more will come
 */
enum kube_upgrade_state kube_upgrade_read(struct span bytes, bool is_end, const char *key,
					  const char *protocol, struct kube_upgrade *out) MUST_USE;
