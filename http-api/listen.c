// SPDX-License-Identifier: Apache-2.0
#include "http-api/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/*
 * Theory of operation
 *
 * Sockets are made here and handed to libmicrohttpd, because it would not give a unix socket its
 * mode nor say why a bind failed. The mode is set on the socket before it is bound (Linux creates
 * the file with it, less the umask) and again on the file, so that it is never wider than 0660.
 * A stale socket file is told from a living one by connecting to it.
 */

#define BACKLOG	    64
#define SOCKET_MODE 0660

static int new_socket(int family, struct err *e)
{
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	return fd < 0 ? err_set(e, -errno, "socket: %s", strerror(errno)) : fd;
}

static bool somebody_answers(const struct sockaddr_un *sun)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool is_alive = fd >= 0 && connect(fd, (const struct sockaddr *)sun, sizeof(*sun)) == 0;

	if (fd >= 0)
		(void)close(fd);
	return is_alive;
}

/* Remove what an earlier run left behind; refuse what is in use or not ours. */
static int make_way(const struct sockaddr_un *sun, struct err *e)
{
	struct stat st;

	if (lstat(sun->sun_path, &st) < 0)
		return errno == ENOENT ? 0
				       : err_set(e, -errno, "unix socket %s: %s", sun->sun_path,
						 strerror(errno));
	if (!S_ISSOCK(st.st_mode))
		return err_set(e, -EEXIST,
			       "unix socket %s: something that is no socket is in the way",
			       sun->sun_path);
	if (somebody_answers(sun))
		return err_set(e, -EADDRINUSE, "unix socket %s: another process answers there",
			       sun->sun_path);
	if (unlink(sun->sun_path) < 0 && errno != ENOENT)
		return err_set(e, -errno, "unix socket %s: cannot remove the old one: %s",
			       sun->sun_path, strerror(errno));
	return 0;
}

static void make_directory(const char *path)
{
	char dir[sizeof(((struct sockaddr_un *)0)->sun_path)];
	char *slash;

	(void)snprintf(dir, sizeof(dir), "%s", path);
	slash = strrchr(dir, '/');
	if (!slash || slash == dir)
		return;
	*slash = '\0';
	(void)mkdir(dir, 0755); /* bind says what is wrong */
}

static int bind_unix(int fd, const struct sockaddr_un *sun, struct listen_unix *out, struct err *e)
{
	struct stat st;

	if (fchmod(fd, SOCKET_MODE) < 0 ||
	    bind(fd, (const struct sockaddr *)sun, sizeof(*sun)) < 0 ||
	    chmod(sun->sun_path, SOCKET_MODE) < 0 || listen(fd, BACKLOG) < 0 ||
	    lstat(sun->sun_path, &st) < 0)
		return err_set(e, -errno, "unix socket %s: %s", sun->sun_path, strerror(errno));
	*out = (struct listen_unix){.fd = fd, .device = st.st_dev, .inode = st.st_ino};
	return 0;
}

int listen_unix(const char *path, struct listen_unix *out, struct err *e)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int fd, r;

	if (strlen(path) >= sizeof(sun.sun_path))
		return err_set(e, -ENAMETOOLONG, "unix socket %s: longer than %zu bytes", path,
			       sizeof(sun.sun_path) - 1);
	(void)snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path);
	make_directory(path);
	r = make_way(&sun, e);
	if (r < 0)
		return r;
	fd = new_socket(AF_UNIX, e);
	if (fd < 0)
		return fd;
	r = bind_unix(fd, &sun, out, e);
	if (r < 0)
		(void)close(fd);
	return r;
}

void listen_unix_remove(const char *path, const struct listen_unix *l)
{
	struct stat st;

	if (lstat(path, &st) == 0 && st.st_dev == l->device && st.st_ino == l->inode)
		(void)unlink(path);
}

/* ---- TCP ---- */

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

/* where, and which setting says so */
struct place {
	const char *setting, *text;
};

/* "127.0.0.1:7700", "[::1]:7700", "localhost:7700" */
static int parse_address(const struct place *at, union address *out, struct err *e)
{
	const char *colon = strrchr(at->text, ':');
	size_t n = colon ? (size_t)(colon - at->text) : 0;
	char host[LISTEN_ADDRESS_MAX];
	char *end = NULL;
	unsigned long port = colon && colon[1] ? strtoul(colon + 1, &end, 10) : 65536;

	*out = (union address){0};
	if (!colon || n == 0 || n >= sizeof(host) || port > 65535 || *end)
		return err_set(e, -EINVAL, "%s %s: write 127.0.0.1:7700 or [::1]:7700", at->setting,
			       at->text);
	(void)snprintf(host, sizeof(host), "%.*s", (int)n, at->text);
	out->v4.sin_port = htons((uint16_t)port); /* at the same place in both */
	if (host[0] == '[' && host[n - 1] == ']') {
		host[n - 1] = '\0';
		out->any.sa_family = AF_INET6;
		n = (size_t)inet_pton(AF_INET6, host + 1, &out->v6.sin6_addr);
	} else {
		out->any.sa_family = AF_INET;
		n = (size_t)inet_pton(AF_INET, strcmp(host, "localhost") ? host : "127.0.0.1",
				      &out->v4.sin_addr);
	}
	return n == 1 ? 0 : err_set(e, -EINVAL, "%s %s: no address", at->setting, at->text);
}

static bool is_loopback(const union address *a)
{
	if (a->any.sa_family == AF_INET)
		return ntohl(a->v4.sin_addr.s_addr) >> 24 == 127;
	return IN6_IS_ADDR_LOOPBACK(&a->v6.sin6_addr);
}

static void format_address(const union address *a, char out[LISTEN_ADDRESS_MAX])
{
	bool is_v4 = a->any.sa_family == AF_INET;
	char host[INET6_ADDRSTRLEN] = "";

	if (is_v4)
		(void)inet_ntop(AF_INET, &a->v4.sin_addr, host, sizeof(host));
	else
		(void)inet_ntop(AF_INET6, &a->v6.sin6_addr, host, sizeof(host));
	(void)snprintf(out, LISTEN_ADDRESS_MAX, is_v4 ? "%s:%u" : "[%s]:%u", host,
		       (unsigned)ntohs(a->v4.sin_port));
}

static int bind_tcp(int fd, union address *a, const struct place *at, struct err *e)
{
	socklen_t n = a->any.sa_family == AF_INET ? sizeof(a->v4) : sizeof(a->v6);
	int one = 1;

	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, &a->any, n) < 0 || listen(fd, BACKLOG) < 0 || getsockname(fd, &a->any, &n) < 0)
		return err_set(e, -errno, "%s %s: %s", at->setting, at->text, strerror(errno));
	return 0;
}

static int open_tcp(union address *a, const struct place *at, char address_out[LISTEN_ADDRESS_MAX],
		    struct err *e)
{
	int fd = new_socket(a->any.sa_family, e);
	int r = fd < 0 ? fd : bind_tcp(fd, a, at, e);

	if (r < 0) {
		if (fd >= 0)
			(void)close(fd);
		return r;
	}
	format_address(a, address_out);
	return fd;
}

int listen_tcp(const char *where, bool is_guarded, char address_out[LISTEN_ADDRESS_MAX],
	       struct err *e)
{
	const struct place at = {"api.listen", where};
	union address a;
	int r = parse_address(&at, &a, e);

	if (r < 0)
		return r;
	if (!is_guarded && !is_loopback(&a))
		return err_set(e, -EINVAL,
			       "api.listen %s: only loopback addresses; others need TLS "
			       "(api.tls_cert) and tokens (api.auth)",
			       where);
	return open_tcp(&a, &at, address_out, e);
}

int listen_anywhere(const char *setting, const char *where, char address_out[LISTEN_ADDRESS_MAX],
		    struct err *e)
{
	char all[LISTEN_ADDRESS_MAX];
	struct place at = {setting, where};
	union address a;
	int r;

	if (where[0] == ':') { /* IPv6 takes IPv4 too (RFC 3493 5.3); a machine may be without it */
		(void)snprintf(all, sizeof(all), "[::]%.32s", where);
		at.text = all;
		r = parse_address(&at, &a, e);
		r = r < 0 ? r : open_tcp(&a, &at, address_out, e);
		if (r != -EAFNOSUPPORT && r != -EADDRNOTAVAIL)
			return r;
		(void)snprintf(all, sizeof(all), "0.0.0.0%.32s", where);
	}
	r = parse_address(&at, &a, e);
	return r < 0 ? r : open_tcp(&a, &at, address_out, e);
}
