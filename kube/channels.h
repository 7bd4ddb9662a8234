// SPDX-License-Identifier: Apache-2.0
/*
 * channels.h - what a pod's port says through a WebSocket of the API server (v4.channel.k8s.io)
 *
 * One port: channel 0 has its bytes, channel 1 what went wrong; each begins with the port's number. Works on
 * whatever pieces come; keeps no data. Hostile input: an error is told once and for good. Thread: any.
 */
#pragma once

#include "lib/buf.h"
#include "wire/wsframe.h"

#define KUBE_CHANNELS_PROTOCOL	"v4.channel.k8s.io"
#define KUBE_CHANNELS_ERROR_MAX 400 /* octets kept of what went wrong */

/* Zero-initialised it expects the first frame; kube_channels_fini() it. */
struct kube_channels {
	struct ws_walker walker;
	struct buf error;     /* of channel 1, behind the port's number */
	struct buf reply;     /* frames to send: the sender empties it */
	uint8_t control[125]; /* of the control frame being read */
	uint8_t control_bytes;
	uint8_t channel;	     /* of the message being read */
	bool has_channel, is_inside; /* its first octet was seen; more frames of it follow */
	uint8_t numbers[2];	     /* octets of the port's number seen on each channel */
	const char *why;	     /* KUBE_CHANNELS_BROKEN: a few words that last */
};

enum kube_channels_event {
	KUBE_CHANNELS_MORE,   /* all bytes are used up */
	KUBE_CHANNELS_DATA,   /* *piece_out: of the port */
	KUBE_CHANNELS_END,    /* the server closes; nothing follows */
	KUBE_CHANNELS_BROKEN, /* .why */
};

/* kube_channels_read() - the next event in @bytes; what is used up is taken from its beginning */
enum kube_channels_event kube_channels_read(struct kube_channels *c, struct span *bytes,
					    struct span *piece_out) MUST_USE;
/* kube_channels_is_open() - the port's number has come on both channels */
bool kube_channels_is_open(const struct kube_channels *c);
/* kube_channels_write() - append a frame with @data for the port; is_failed without memory or randomness */
void kube_channels_write(struct span data, struct buf *out);
void kube_channels_fini(struct kube_channels *c);
