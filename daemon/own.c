// SPDX-License-Identifier: Apache-2.0
#include "daemon/own.h"

#include <errno.h>
#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * Theory of operation. A kubelet makes a hostPath directory as root, and a volume of a node knows
 * no fsGroup; the daemon runs as an ordinary user. So a container that runs before it, as root with
 * CAP_CHOWN alone, hands the directories over. It looks at strangers' names only: no link is
 * followed and no other file system entered, and a directory belongs to the new owner before what
 * is in it does, which is why its old owner (root, or ourselves) cannot play tricks meanwhile.
 */
#define PATH_BYTES 4096

struct owner {
	uid_t uid;
	gid_t gid;
};

static bool read_id(const char **at, uint32_t *out)
{
	char *end;
	unsigned long v;

	if (**at < '0' || **at > '9')
		return false;
	errno = 0;
	v = strtoul(*at, &end, 10);
	*at = end;
	*out = (uint32_t)v;
	return errno == 0 && v < UINT32_MAX;
}

/* "7700:7700" or "7700" */
static int read_owner(const char *text, struct owner *out, struct err *e)
{
	const char *at = text;
	uint32_t uid = 0, gid = 0;
	bool is_good = read_id(&at, &uid);

	gid = uid;
	if (is_good && *at == ':') {
		at++;
		is_good = read_id(&at, &gid);
	}
	if (!is_good || *at)
		return err_set(e, -EINVAL, "--own %s: expected numbers such as 7700:7700", text);
	*out = (struct owner){uid, gid};
	return 0;
}

static int own_one(const char *path, const struct stat *st, const struct owner *o, struct err *e)
{
	if ((st->st_uid == o->uid && st->st_gid == o->gid) || lchown(path, o->uid, o->gid) == 0)
		return 0;
	return err_set(e, -errno, "%s: cannot give it to %u:%u: %s", path, (unsigned)o->uid,
		       (unsigned)o->gid, strerror(errno));
}

static int own_tree(const char *dir, const struct owner *o, struct err *e)
{
	char *const roots[] = {(char *)(uintptr_t)dir, NULL};
	FTS *walk = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR | FTS_XDEV, NULL);
	FTSENT *at;
	int failed = walk ? 0 : err_set(e, -errno, "%s: %s", dir, strerror(errno));

	while (failed == 0 && (at = fts_read(walk))) {
		if (at->fts_info == FTS_DNR || at->fts_info == FTS_ERR || at->fts_info == FTS_NS)
			failed = err_set(e, -at->fts_errno, "%s: %s", at->fts_path,
					 strerror(at->fts_errno));
		else if (at->fts_info != FTS_DP)
			failed = own_one(at->fts_path, at->fts_statp, o, e);
	}
	if (walk)
		(void)fts_close(walk);
	return failed;
}

/* @mode: of one that is made here; its parent must exist */
static int make_directory(const char *dir, mode_t mode, struct err *e)
{
	if (mkdir(dir, mode) == 0 || errno == EEXIST)
		return 0;
	return err_set(e, -errno, "%s: %s", dir, strerror(errno));
}

/* Return: false: there is none, or it is the root directory, which is not ours to give. */
static bool directory_of(const char *socket, char dir[PATH_BYTES])
{
	char *slash;

	(void)snprintf(dir, PATH_BYTES, "%s", socket);
	slash = strrchr(dir, '/');
	if (!slash || slash == dir)
		return false;
	*slash = '\0';
	return true;
}

/*
 * Where the directory above it is the new owner's already, root without CAP_DAC_OVERRIDE may not
 * write there, and the owner makes it himself when he starts.
 */
static int make_socket_directory(const char *socket, struct err *e)
{
	char dir[PATH_BYTES];
	int failed = directory_of(socket, dir) ? make_directory(dir, 0755, e) : 0;

	return failed == -EACCES ? 0 : failed;
}

/* It alone: its sockets are made anew at each start. */
static int own_socket_directory(const char *socket, const struct owner *o, struct err *e)
{
	char dir[PATH_BYTES];
	struct stat st;

	if (!directory_of(socket, dir) || lstat(dir, &st) < 0)
		return 0;
	return own_one(dir, &st, o, e);
}

/* One may lie in the other, so all are made before any is given away. */
int own_directories(const struct settings *s, const char *who, struct err *e)
{
	struct owner o;
	int failed = read_owner(who, &o, e);

	if (failed == 0)
		failed = make_directory(s->store, 0750, e);
	if (failed == 0)
		failed = make_socket_directory(s->api_socket, e);
	if (failed == 0)
		failed = make_socket_directory(s->handover_socket, e);
	if (failed == 0)
		failed = own_tree(s->store, &o, e);
	if (failed == 0)
		failed = own_socket_directory(s->handover_socket, &o, e);
	if (failed == 0)
		failed = own_socket_directory(s->api_socket, &o, e);
	return failed;
}
