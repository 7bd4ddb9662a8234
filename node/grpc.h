// SPDX-License-Identifier: Apache-2.0
/*
 * grpc.h - unary gRPC calls over a unix socket: how a container runtime is asked
 *
 * One call at a time, in the calling thread, which waits. Thread: one.
 */
#pragma once

#include "lib/buf.h"
#include "lib/err.h"

struct grpc;

#define GRPC_ANSWER_MAX ((size_t)16 << 20) /* a longer answer is refused */

#define GRPC_UNIMPLEMENTED 12 /* status codes of gRPC */

/* grpc_new() - @socket_path is copied; nothing is connected yet. NULL: no memory. */
struct grpc *grpc_new(const char *socket_path) MUST_USE;
void grpc_free(struct grpc *g); /* accepts NULL */
AUTO_DEFINE(grpc, grpc_free)

/**
 * grpc_call() - one request, one answer
 * @method:     "/package.Service/Method"
 * @request:    the message
 * @timeout_ns: for all of it
 * @answer:     the message; cleared first
 * @status_out: gRPC status when the server answered with one; else -1; may be NULL
 * @e:          names the socket or the server's words: -ENOENT, -ECONNREFUSED, -EACCES nobody there;
 *              -ETIMEDOUT; -E2BIG; -EPROTO it speaks no gRPC; -EREMOTEIO a status other than 0
 *
 * The connection is kept for the next call, and made anew after a failure.
 */
int grpc_call(struct grpc *g, const char *method, struct span request, uint64_t timeout_ns,
	      struct buf *answer, int *status_out, struct err *e) MUST_USE;
