// SPDX-License-Identifier: Apache-2.0
/*
 * transport.h - bytes to a target and back, over TCP or over TLS on it, without ever waiting
 *
 * Whoever speaks HTTP above it does not know which: it is told when the transport is open, sends and
 * receives. Zero-initialised it is closed but for .fd: transport_init(). It does not move while it is open.
 */
#pragma once

#include "replay/target.h"
#include "replay/tls.h"

#include <sys/types.h>

enum transport_state {
	TRANSPORT_WAITS_IN,  /* goes on when something can be read */
	TRANSPORT_WAITS_OUT, /* goes on when something can be written */
	TRANSPORT_OPEN,
	TRANSPORT_FAILED, /* error, fault and detail say why */
};

/* Why TLS could not be spoken; each has its reason in replay/verdicts.tbl.h. */
enum transport_fault {
	TRANSPORT_NO_FAULT,
	TRANSPORT_UNTRUSTED,
	TRANSPORT_EXPIRED,
	TRANSPORT_WRONG_HOST,
	TRANSPORT_ALPN,
	TRANSPORT_TLS,
};

struct transport {
	int fd;		    /* -1: closed */
	int error;	    /* errno behind a failure of TCP; 0: none */
	uint8_t fault;	    /* enum transport_fault */
	const char *detail; /* behind a fault, a few words that last for ever; NULL: none */
	bool is_resumed;    /* by a session of an earlier connection */
	/* TLS: the peer closed without saying so; what came may not be all (RFC 8446 6.1) */
	bool was_cut;
	bool has_ended; /* TLS: the peer has said its last, transport_recv() gives 0 */

	/* private to transport.c */
	const struct target_way *way; /* of the line */
	void *line;		      /* NULL: a socket of our own */
	struct tls *tls;	      /* NULL: plain TCP */
	SSL *ssl;
	size_t target;	   /* index of its session */
	struct span raw;   /* received, in tls->raw, not decrypted yet */
	bool is_connected; /* TCP */
	bool is_fed;	   /* bytes come from raw, not from the socket */
	bool wants_http2;
};

void transport_init(struct transport *t);
/* A connection that has begun and that nobody speaks on yet. */
struct transport_socket {
	int fd; /* -1: none */
	const struct target_way *way;
	void *line;
};
/* transport_socket() - a connection to @target begins, its way asked. Return: 0, or a negative errno. */
int transport_socket(const struct target *target, struct transport_socket *out) MUST_USE;
void transport_socket_close(struct transport_socket *s); /* closed already is fine */
/*
 * transport_probe() - wait until it is connected, or is not
 * @detail_out: a few words more that last; NULL: none
 * Return: 0; -ETIMEDOUT; or why it could not be made.
 */
int transport_probe(const struct transport_socket *s, uint64_t timeout_ns, const char **detail_out);
/**
 * transport_begin() - the way to a target over @socket, which is connecting; taken
 * @t:           closed
 * @tls:         NULL unless the target wants TLS; borrowed until transport_close()
 * @index:       number of the target among those that @tls was made for
 * @wants_http2: what is offered by ALPN: h2, or http/1.1
 *
 * Return: 0, or -ENOMEM with @socket closed.
 */
int transport_begin(struct transport *t, struct transport_socket *socket, struct tls *tls,
		    const struct target *target, size_t index, bool wants_http2) MUST_USE;
/* transport_advance() - the socket is ready: connect, shake hands. Until it is OPEN or has FAILED. */
enum transport_state transport_advance(struct transport *t);
/* transport_send() - Return: how many bytes went out, maybe 0 of none; -EAGAIN, or another negative errno */
ssize_t transport_send(struct transport *t, struct span bytes);
/**
 * transport_recv() - what has come
 * @room: at least TLS_RAW_BYTES + 16 KiB
 *
 * Return: how many bytes; 0 at the end; -EAGAIN, or another negative errno (-EPROTO: fault says more).
 * When there is less than @room and has_ended is not set, nothing more can be had now.
 */
ssize_t transport_recv(struct transport *t, uint8_t *to, size_t room);
/* transport_close() - error, fault and detail stay until transport_begin(). Closed already is fine. */
void transport_close(struct transport *t);
