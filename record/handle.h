// SPDX-License-Identifier: Apache-2.0
/*
 * handle.h - one live capture handle: an interface, here or in another network namespace
 *
 * Thread: opened by main, then capture.
 */
#pragma once

#include "lib/err.h"
#include "record/identity.h"

struct handle;

/*
 * What is captured when nothing else was asked for: TCP, and what may be TCP behind fragmentation
 * or extension headers.
 */
#define HANDLE_FILTER_USUAL "tcp or (ip[6:2] & 0x3fff != 0) or (ip6 and not udp and not icmp6)"

struct handle_config {
	const char *interface; /* NULL: all of them ("any") */
	const char *netns;     /* name or path; NULL: the namespace we are in */
	const char *bpf;       /* pcap filter; "" takes TCP */
	size_t buffer_bytes;   /* kernel ring; libpcap takes whole blocks of 256 KiB */
	size_t snaplen;
	uint64_t poll_ns; /* how long the kernel may collect before it wakes us */
};

/* What the kernel counted since handle_open() [packets]. */
struct handle_stats {
	uint64_t received; /* passed the filter; dropped ones included */
	uint64_t dropped;  /* no room in the ring */
};

/* @bytes: borrowed for the call; @length: on the wire [bytes] */
typedef void handle_packet_fn(void *ctx, uint64_t ts_ns, struct span bytes, size_t length);

/**
 * handle_open() - capture from now on
 * @e: names the interface: -ENODEV no such interface; -EPERM needs CAP_NET_RAW (and CAP_SYS_ADMIN
 *     to enter a namespace); -EINVAL a filter that does not parse; -ENETDOWN; -ENOMEM the ring
 *
 * Return: owned by the caller, free with handle_close().
 */
int handle_open(const struct handle_config *config, struct handle **s_out, struct err *e) MUST_USE;
void handle_close(struct handle *s); /* accepts NULL */
AUTO_DEFINE(handle, handle_close)

/**
 * handle_read() - hand out the packets that are there now, @most at most; does not wait
 *
 * Return: how many; -ENETDOWN when the interface has disappeared, -EIO: close it then.
 */
int handle_read(struct handle *s, int most, handle_packet_fn *fn, void *ctx,
		struct err *e) MUST_USE;
#define HANDLE_QUIET 3
/*
 * handle_shut() - the kernel gives nothing more from now on; what is in the ring can still be read.
 * It is all there once handle_fd() is not readable for HANDLE_QUIET times poll_ns: a block that is not full is
 * given after one to two of them, and some jiffies.
 */
void handle_shut(struct handle *s);
/**
 * handle_rebind() - after -ENETDOWN: listen again, if there is an interface of that name now
 *
 * The same socket, with its ring, filter and counts, so no privilege is needed. Linktype and snaplen stay.
 *
 * Return: 0; -ENODEV there is none yet, or the handle takes all interfaces; -EMEDIUMTYPE it is of another link
 * type now: close the handle.
 */
int handle_rebind(struct handle *s) MUST_USE;
/* handle_is_gone() - the namespace it was opened in has been removed (the handle keeps it alive) */
bool handle_is_gone(const struct handle *s);

int handle_fd(const struct handle *s);		 /* readable when there are packets */
int handle_linktype(const struct handle *s);	 /* DLT_ number */
uint64_t handle_netns(const struct handle *s);	 /* equal for handles in one namespace, never 0 */
const char *handle_name(const struct handle *s); /* "eth0", "cart:any": for messages */
void handle_stats(struct handle *s, struct handle_stats *out);
/* handle_seen() - addresses of its namespace's interfaces when it was opened; none for our own */
const struct identity_seen *handle_seen(const struct handle *s, size_t *count_out);

/* handle_check_bpf() - does a filter parse? -EINVAL with libpcap's words. */
int handle_check_bpf(const char *bpf, struct err *e) MUST_USE;
