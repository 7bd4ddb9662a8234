// SPDX-License-Identifier: Apache-2.0
/* listen.h - the sockets of the API: a unix socket for the group, TCP, and TCP for who may know no more than that we
 * are well */
#pragma once

#include "lib/err.h"

#include <sys/types.h>

/* A bound unix socket, and the file it made: only that one is removed again. */
struct listen_unix {
	int fd; /* -1: none */
	dev_t device;
	ino_t inode;
};

/**
 * listen_unix() - bind @path with mode 0660
 *
 * A socket file that nobody answers on is left over from a crash and is replaced; the directory is
 * made when it is missing (its parent must exist).
 * @e: -EADDRINUSE somebody answers there; -EEXIST something that is no socket is in the way;
 *     -ENAMETOOLONG; -EACCES and others as bind(2)
 */
int listen_unix(const char *path, struct listen_unix *out, struct err *e) MUST_USE;
/* listen_unix_remove() - unlink @path if it is still the file that listen_unix() made */
void listen_unix_remove(const char *path, const struct listen_unix *l);

#define LISTEN_ADDRESS_MAX 64

/**
 * listen_tcp() - bind "127.0.0.1:7700", "[::1]:0", "localhost:7700" or, guarded, "0.0.0.0:7700"
 * @is_guarded:  by TLS and tokens: addresses that others can reach will do
 * @address_out: as bound, port 0 resolved
 *
 * Return: the socket; -EINVAL no such form, or an address that others can reach; -EADDRINUSE and
 * others as bind(2).
 */
int listen_tcp(const char *where, bool is_guarded, char address_out[LISTEN_ADDRESS_MAX],
	       struct err *e) MUST_USE;
/* listen_anywhere() - the same for any address; ":7701" is all of them, of both families where there are two.
 * @setting: for messages */
int listen_anywhere(const char *setting, const char *where, char address_out[LISTEN_ADDRESS_MAX],
		    struct err *e) MUST_USE;
