// SPDX-License-Identifier: Apache-2.0
/*
 * capture.h - live handles, and the thread that reads them all into one decoder
 *
 * They are opened before anything else and need privileges; what is parsed later does not.
 */
#pragma once

#include "record/identity.h"

struct capture;
struct packet_socket; /* record/packet_socket.h */

/* Where it listens. */
struct capture_interface {
	const char *interface; /* NULL: all */
	const char *netns;     /* network namespace, by name or path; NULL: ours */
};
/* How busy a namespace is. */
enum capture_pace {
	CAPTURE_BUSY,	 /* it deserves a socket with a ring */
	CAPTURE_QUIET,	 /* it needs none any more */
	CAPTURE_PRESSED, /* it is held, and packets will soon be lost: decide */
	CAPTURE_BEGUN,	 /* its first packets were read: it has addresses now */
};
/* Namespaces that come and go while the thread runs; all called in the capture thread, must not block */
struct capture_pods {
	bool is_on;
	/* moves out: to be closed, which takes a while */
	void (*on_closed)(void *ctx, struct packet_socket *s);
	void (*on_removed)(void *ctx, uint32_t netns); /* its last exchange was handed on */
	void (*on_pace)(void *ctx, uint32_t netns, enum capture_pace pace);
	void *ctx;
};
struct capture_config {
	struct capture_pods pods;
	const struct capture_interface *interfaces; /* borrowed for capture_open() */
	size_t count;
	const char *bpf;     /* "": TCP; borrowed for capture_open() */
	size_t buffer_bytes; /* of each */
	size_t snaplen;
	uint64_t poll_ns;
};

/**
 * capture_open() - open all handles, in the calling thread
 * @e: what handle_open() says; all handles are closed then
 *
 * Return: owned by the caller, until record_run() takes it or capture_free().
 */
int capture_open(const struct capture_config *config, struct capture **c_out,
		 struct err *e) MUST_USE;
void capture_free(struct capture *c); /* accepts NULL */
AUTO_DEFINE(capture, capture_free)
/* capture_identities() - see identities_load(), with the addresses found in namespaces. Any thread.
 */
int capture_identities(const struct capture *c, const char *path, struct identities **i_out,
		       struct err *e) MUST_USE;

/*
 * One namespace each, known by its inode, while the thread runs. Thread: any one, always the same.
 * Return: 0; -ENOMEM, or -ENOTSUP without capture_config.pods.
 *
 * capture_pod_add() - capture it through @s, which moves in, in any case
 *   @share:   see struct wire_source
 *   @is_held: its packets stay in the kernel until capture_pod_read()
 * capture_pod_replace() - go on with @s, which moves in; the old one is given to on_closed()
 * capture_pod_remove() - it has ended, or is not wanted: what is there is read, unless it is held; what is
 *   under way becomes exchanges, then on_removed() is called
 */
int capture_pod_add(struct capture *c, uint32_t netns, uint16_t share, struct packet_socket *s,
		    bool is_held) MUST_USE;
int capture_pod_read(struct capture *c, uint32_t netns) MUST_USE;
int capture_pod_replace(struct capture *c, uint32_t netns, struct packet_socket *s) MUST_USE;
int capture_pod_remove(struct capture *c, uint32_t netns) MUST_USE;
