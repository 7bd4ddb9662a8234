// SPDX-License-Identifier: Apache-2.0
/* target.h - where requests go: --to URL for all, --map NAME=URL for one service */
#pragma once

#include "lib/err.h"
#include "schema/exchange.h"

#include <sys/socket.h>

#define TARGET_MAX       64 /* targets of one replay */
#define TARGET_TEXT_MAX  272
#define TARGET_NONE      UINT16_MAX

struct target {
	char name[TARGET_TEXT_MAX];      /* what --map calls it; "" for --to */
	char authority[TARGET_TEXT_MAX]; /* "localhost:8080": what --rewrite-host puts into Host */
	char shown[TARGET_TEXT_MAX + 8]; /* the authority; with TLS "https://" before it */
	char host[TARGET_TEXT_MAX];      /* name or address alone, without brackets */
	bool is_tls;
	bool is_unverified;              /* any certificate will do: for reports; tls_config decides */
	struct sockaddr_storage address;
	socklen_t address_bytes;
};

/* Zero-initialised it is empty. */
struct targets {
	struct target list[TARGET_MAX];
	uint16_t count;
};

/**
 * target_add() - read http[s]://HOST[:PORT][/] (ws:// and wss:// mean the same) and find its address
 * @name: service, pod or host whose exchanges go there; NULL: all that no other target names
 * @e:    -EINVAL not such a URL; -EPROTONOSUPPORT unix; -EHOSTUNREACH the name has no
 *        address; -E2BIG too many targets or too long a name
 */
int target_add(struct targets *t, const char *name, const char *url, struct err *e) MUST_USE;
/* target_add_map() - "NAME=URL". Errors as target_add(). */
int target_add_map(struct targets *t, const char *map, struct err *e) MUST_USE;
/*
 * target_of() - where an exchange goes: the target named as its dst.service, dst.pod or host (with or
 * without port), else the one without a name. Return: index, or TARGET_NONE.
 */
uint16_t target_of(const struct targets *t, const struct exchange *x);
/* target_is_recorded() - the exchange was recorded at this very address and port */
bool target_is_recorded(const struct target *t, const struct exchange *x);
