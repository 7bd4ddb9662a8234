// SPDX-License-Identifier: Apache-2.0
#include "node/namespaces.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

/*
 * Theory of operation. A named namespace is a file over which the namespace is mounted (ip-netns(8)). That
 * happens in two steps, and two things wake us:
 *
 *	the file is made              inotify: IN_CREATE     it is awaited
 *	the namespace is mounted      /proc/self/mountinfo polls with POLLPRI (proc(5)):
 *	                              the awaited are looked at again: it has appeared
 *	the file is removed           inotify: IN_DELETE     it has ended
 *
 * So the time between the mount and our knowing it is one wake-up, and nothing is polled. A mount elsewhere
 * on the machine costs a look at the awaited, usually none, and at the directories: one may have been made,
 * or another file system mounted over it (`ip netns add` does that the first time). When inotify's queue
 * overflows everything is read again.
 *
 * Entries are in one array, by directory and name; there are as many as pods on a node, some hundreds, and
 * most events name one.
 */
#define ENTRIES_MAX	4096 /* names that are watched; more are left alone */
#define DIRECTORIES_MAX 8

struct entry {
	unsigned directory;
	uint32_t inode; /* 0: awaited */
	bool was_met;	/* in the reading of its directory that is under way */
	char name[NAME_MAX + 1];
};

struct directory {
	char path[NAMESPACE_PATH_MAX / 2];
	int watch; /* inotify's number; -1: it does not exist, or is another one's second name */
	dev_t device;
	ino_t inode;
};

struct namespaces {
	struct directory directories[DIRECTORIES_MAX];
	unsigned directory_count;
	struct entry *entries;
	size_t count, room;
	int epoll, inotify, mounts;
	bool is_whole;		/* all was read once */
	namespace_event_fn *fn; /* of the call under way */
	void *ctx;
};

static int watch_fd(struct namespaces *n, int fd, uint32_t events)
{
	struct epoll_event e = {.events = events, .data.fd = fd};

	return fd < 0 || epoll_ctl(n->epoll, EPOLL_CTL_ADD, fd, &e) < 0 ? -errno : 0;
}

static int open_descriptors(struct namespaces *n, struct err *e)
{
	n->epoll = epoll_create1(EPOLL_CLOEXEC);
	n->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	n->mounts = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
	if (watch_fd(n, n->inotify, EPOLLIN) < 0 || watch_fd(n, n->mounts, EPOLLPRI) < 0)
		return err_set(e, -errno, "network namespaces: cannot watch: %s", strerror(errno));
	return 0;
}

int namespaces_open(const char *const *directories, size_t count, struct namespaces **n_out,
		    struct err *e)
{
	AUTO(namespaces) n = calloc(1, sizeof(*n));
	int failed;

	if (!n)
		return err_set(e, -ENOMEM, "network namespaces: out of memory");
	n->epoll = n->inotify = n->mounts = -1;
	for (size_t i = 0; i < count; i++) {
		struct directory *d = &n->directories[n->directory_count];

		if (i == DIRECTORIES_MAX || directories[i][0] != '/' ||
		    strlen(directories[i]) >= sizeof(d->path))
			return err_set(e, -EINVAL, "%.80s: expected at most %d absolute paths",
				       directories[i], DIRECTORIES_MAX);
		(void)snprintf(d->path, sizeof(d->path), "%s", directories[i]);
		d->watch = -1;
		n->directory_count++;
	}
	failed = open_descriptors(n, e);
	if (failed < 0)
		return failed;
	*n_out = TAKE(n);
	return 0;
}

void namespaces_close(struct namespaces *n)
{
	if (!n)
		return;
	for (unsigned i = 0; i < 3; i++) {
		int fd = (int[]){n->epoll, n->inotify, n->mounts}[i];

		if (fd >= 0)
			(void)close(fd);
	}
	free(n->entries);
	free(n);
}

int namespaces_fd(const struct namespaces *n)
{
	return n->epoll;
}

/* --- entries --- */

static void path_of(const struct namespaces *n, const struct entry *en,
		    char out[NAMESPACE_PATH_MAX])
{
	(void)snprintf(out, NAMESPACE_PATH_MAX, "%s/%s", n->directories[en->directory].path,
		       en->name);
}

/* Return: its inode; 0 when the file is no network namespace (yet) */
static uint32_t inode_of(const char *path)
{
	struct statfs fs;
	struct stat st;

	if (statfs(path, &fs) < 0 || fs.f_type != NSFS_MAGIC || stat(path, &st) < 0)
		return 0;
	return (uint32_t)st.st_ino;
}

static void tell(struct namespaces *n, const struct entry *en, bool has_appeared)
{
	char path[NAMESPACE_PATH_MAX];
	struct namespace_event event = {
		.has_appeared = has_appeared, .inode = en->inode, .path = path};

	path_of(n, en, path);
	if (en->inode)
		n->fn(n->ctx, &event);
}

/* Is it what it was? A name may be given to another namespace between two looks. */
static void look_at(struct namespaces *n, struct entry *en)
{
	char path[NAMESPACE_PATH_MAX];
	uint32_t inode;

	path_of(n, en, path);
	inode = inode_of(path);
	if (inode == en->inode)
		return;
	tell(n, en, false);
	en->inode = inode;
	tell(n, en, true);
}

static struct entry *find(struct namespaces *n, unsigned directory, const char *name)
{
	for (size_t i = 0; i < n->count; i++)
		if (n->entries[i].directory == directory && strcmp(n->entries[i].name, name) == 0)
			return &n->entries[i];
	return NULL;
}

static struct entry *new_entry(struct namespaces *n, unsigned directory, const char *name)
{
	if (n->count == n->room) {
		size_t room = n->room ? n->room * 2 : 32;
		struct entry *more =
			room > ENTRIES_MAX ? NULL : realloc(n->entries, room * sizeof(*more));

		if (!more)
			return NULL;
		n->entries = more;
		n->room = room;
	}
	n->entries[n->count] = (struct entry){.directory = directory};
	(void)snprintf(n->entries[n->count].name, sizeof(n->entries[0].name), "%s", name);
	return &n->entries[n->count++];
}

static int meet(struct namespaces *n, unsigned directory, const char *name)
{
	struct entry *en = find(n, directory, name);

	if (!en && !(en = new_entry(n, directory, name)))
		return -ENOMEM;
	en->was_met = true;
	look_at(n, en);
	return 0;
}

static void drop(struct namespaces *n, struct entry *en)
{
	tell(n, en, false);
	*en = n->entries[--n->count];
}

static void look_at_awaited(struct namespaces *n)
{
	for (size_t i = 0; i < n->count; i++)
		if (n->entries[i].inode == 0)
			look_at(n, &n->entries[i]);
}

/* --- directories --- */

static int read_directory(struct namespaces *n, unsigned directory)
{
	DIR *d = n->directories[directory].watch < 0 ? NULL
						     : opendir(n->directories[directory].path);
	struct dirent *found;
	int failed = 0;

	for (size_t i = 0; i < n->count; i++)
		n->entries[i].was_met &= n->entries[i].directory != directory;
	while (d && (found = readdir(d)))
		if (found->d_name[0] != '.' && found->d_type != DT_DIR &&
		    meet(n, directory, found->d_name) < 0)
			failed = -ENOMEM;
	if (d)
		(void)closedir(d);
	for (size_t i = n->count; i-- > 0;)
		if (n->entries[i].directory == directory && !n->entries[i].was_met)
			drop(n, &n->entries[i]);
	return failed;
}

static bool is_second_name(const struct namespaces *n, unsigned directory, const struct stat *st)
{
	for (unsigned i = 0; i < directory; i++) {
		const struct directory *d = &n->directories[i];

		if (d->watch >= 0 && d->device == st->st_dev && d->inode == st->st_ino)
			return true;
	}
	return false;
}

/* Was it made, removed, or mounted over? Return: it must be read again */
static bool look_for_directory(struct namespaces *n, unsigned directory)
{
	struct directory *d = &n->directories[directory];
	struct stat st = {0};
	bool is_there = stat(d->path, &st) == 0 && S_ISDIR(st.st_mode) &&
			!is_second_name(n, directory, &st);

	if (is_there && d->watch >= 0 && d->device == st.st_dev && d->inode == st.st_ino)
		return false;
	if (d->watch < 0 && !is_there)
		return false;
	if (d->watch >= 0)
		(void)inotify_rm_watch(n->inotify, d->watch);
	d->watch = -1;
	if (is_there)
		d->watch = inotify_add_watch(n->inotify, d->path,
					     IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO |
						     IN_ONLYDIR);
	d->device = st.st_dev;
	d->inode = st.st_ino;
	return true;
}

static int look_for_directories(struct namespaces *n, bool reads_all)
{
	int failed = 0;

	for (unsigned i = 0; i < n->directory_count; i++)
		if ((look_for_directory(n, i) || reads_all) && read_directory(n, i) < 0)
			failed = -ENOMEM;
	return failed;
}

/* --- events --- */

static int take_event(struct namespaces *n, const struct inotify_event *event)
{
	for (unsigned i = 0; i < n->directory_count; i++) {
		struct entry *en;

		if (n->directories[i].watch != event->wd || event->len == 0 ||
		    (event->mask & IN_ISDIR))
			continue;
		if (event->mask & (IN_CREATE | IN_MOVED_TO))
			return meet(n, i, event->name);
		en = find(n, i, event->name);
		if (en)
			drop(n, en);
	}
	return 0;
}

/* Return: 1 when events were lost and all must be read again */
static int take_events(struct namespaces *n)
{
	_Alignas(struct inotify_event) char bytes[4096];
	ssize_t got;
	int result = 0;

	while ((got = read(n->inotify, bytes, sizeof(bytes))) > 0) {
		for (char *at = bytes; at < bytes + got;) {
			const struct inotify_event *event =
				(const struct inotify_event *)(const void *)at;

			if (event->mask & IN_Q_OVERFLOW)
				result = 1;
			else if (take_event(n, event) < 0 && result == 0)
				result = -ENOMEM;
			at += sizeof(*event) + event->len;
		}
	}
	return result;
}

int namespaces_read(struct namespaces *n, namespace_event_fn *fn, void *ctx)
{
	struct epoll_event ready[2];
	int r;

	n->fn = fn;
	n->ctx = ctx;
	/* the mount table's event is over once it was seen */
	(void)epoll_wait(n->epoll, ready, COUNT_OF(ready), 0);
	r = take_events(n);
	look_at_awaited(n);
	r = look_for_directories(n, r != 0 || !n->is_whole);
	n->is_whole = r == 0;
	return r;
}

int namespaces_look(struct namespaces *n, namespace_event_fn *fn, void *ctx)
{
	n->is_whole = false;
	return namespaces_read(n, fn, ctx);
}
