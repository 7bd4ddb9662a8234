// SPDX-License-Identifier: Apache-2.0
/*
 * capture.h - live handles, and the thread that reads them all into one decoder
 *
 * They are opened before anything else and need privileges; what is parsed later does not.
 */
#pragma once

#include "record/identity.h"

struct capture;

/* Where it listens. */
struct capture_interface {
	const char *interface; /* NULL: all */
	const char *netns;     /* network namespace, by name or path; NULL: ours */
};
struct capture_config {
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
