// SPDX-License-Identifier: Apache-2.0
/*
 * source.h - one live capture handle: an interface, here or in another network namespace
 *
 * Thread: opened by main, then capture.
 */
#pragma once

#include "lib/err.h"
#include "record/identity.h"

struct source;

struct source_config {
	const char *interface; /* NULL: all of them ("any") */
	const char *netns;     /* name or path; NULL: the namespace we are in */
	const char *bpf;       /* pcap filter; "" takes TCP */
	size_t buffer_bytes;   /* kernel ring; libpcap takes whole blocks of 256 KiB */
	size_t snaplen;
	uint64_t poll_ns;      /* how long the kernel may collect before it wakes us */
};

/* What the kernel counted since source_open() [packets]. */
struct source_stats {
	uint64_t received; /* passed the filter; dropped ones included */
	uint64_t dropped;  /* no room in the ring */
};

/* @bytes: borrowed for the call; @length: on the wire [bytes] */
typedef void source_packet_fn(void *ctx, uint64_t ts_ns, struct span bytes, size_t length);

/**
 * source_open() - capture from now on
 * @e: names the interface: -ENODEV no such interface; -EPERM needs CAP_NET_RAW (and CAP_SYS_ADMIN
 *     to enter a namespace); -EINVAL a filter that does not parse; -ENETDOWN; -ENOMEM the ring
 *
 * Return: owned by the caller, free with source_close().
 */
int source_open(const struct source_config *config, struct source **s_out, struct err *e) MUST_USE;
void source_close(struct source *s); /* accepts NULL */
AUTO_DEFINE(source, source_close)

/**
 * source_read() - hand out the packets that are there now, @most at most; does not wait
 *
 * Return: how many; -ENETDOWN when the interface has disappeared, -EIO: close it then.
 */
int source_read(struct source *s, int most, source_packet_fn *fn, void *ctx, struct err *e)
	MUST_USE;
/*
 * source_shut() - the kernel gives nothing more from now on; what is in the ring can still be read.
 * It is all there once source_fd() is not readable for twice poll_ns.
 */
void source_shut(struct source *s);
/* source_is_gone() - the namespace it was opened in has been removed (the handle keeps it alive) */
bool source_is_gone(const struct source *s);

int source_fd(const struct source *s);             /* readable when there are packets */
int source_linktype(const struct source *s);       /* DLT_ number */
uint64_t source_netns(const struct source *s);     /* equal for handles in one namespace, never 0 */
const char *source_name(const struct source *s);   /* "eth0", "cart:any": for messages */
void source_stats(struct source *s, struct source_stats *out);
/* source_seen() - addresses of its namespace's interfaces when it was opened; none for our own */
const struct identity_seen *source_seen(const struct source *s, size_t *count_out);

/* source_check_bpf() - does a filter parse? -EINVAL with libpcap's words. */
int source_check_bpf(const char *bpf, struct err *e) MUST_USE;
