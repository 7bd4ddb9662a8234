// SPDX-License-Identifier: Apache-2.0
/* target.h - where requests go: --to for all, --map NAME=... for one service */
#pragma once

#include "lib/err.h"
#include "schema/exchange.h"

#include <sys/socket.h>
#include <sys/types.h>

#define TARGET_MAX	 64 /* targets of one replay */
#define TARGET_TEXT_MAX	 272
#define TARGET_NONE	 UINT16_MAX
#define TARGET_SHOWN_MAX 400

/*
 * How connections to a target are made when it is not by its address: through a tunnel, or to several servers
 * in turn. Whoever makes them lives as long as the replay.
 */
struct target_way {
	/*
	 * open() - begin a connection. *line_out NULL: it is a socket that is connecting. Else it gives one octet
	 * when it is connected, and ends without it when it cannot be. Return: a descriptor that does not block,
	 * or a negative errno.
	 */
	int (*open)(void *ctx, void **line_out);
	/* why() - it has ended: 0 as connections end; else a negative errno, with words that last */
	int (*why)(void *line, const char **detail_out);
	void (*close)(void *line);
	void *ctx;
};

/* An address behind a target: for target_is_recorded(). */
struct target_place {
	uint8_t address[16]; /* as in struct endpoint */
	uint16_t port;
};

struct target {
	char name[TARGET_TEXT_MAX];	 /* what --map calls it; "" for --to */
	char authority[TARGET_TEXT_MAX]; /* "localhost:8080": what --rewrite-host puts into Host */
	char shown[TARGET_TEXT_MAX + 8]; /* the authority; with TLS "https://" before it */
	char host[TARGET_TEXT_MAX];	 /* name or address alone, without brackets */
	bool is_tls;
	/* any certificate will do: for reports; tls_config decides */
	bool is_unverified;
	/* for reports: "port-forward to 3 pods: ..."; "": by its address */
	char how[TARGET_SHOWN_MAX];
	char name_space[64];		   /* of the cluster where it is; "": not known */
	const struct target_way *way;	   /* NULL: its address; borrowed */
	const struct target_place *places; /* borrowed */
	size_t place_count;
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
/* target_add_later() - a place for a target that is filled in when it is known. Return: it, or NULL with @e. */
struct target *target_add_later(struct targets *t, const char *name, struct err *e) MUST_USE;
/* target_is_recorded() - the exchange was recorded at this very address and port, or one behind it */
bool target_is_recorded(const struct target *t, const struct exchange *x);
/* target_shares_namespace() - it was recorded in the namespace where the target is */
bool target_shares_namespace(const struct target *t, const struct exchange *x);
