// SPDX-License-Identifier: Apache-2.0
#include "daemon/watch.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

/*
 * Theory of operation. A kubelet writes the files of a ConfigMap, Secret or Downward API volume into
 * a directory of their own and then moves the link `..data` onto it, so all of them change at once
 * (Kubernetes, AtomicWriter). That move is the only thing that is noticed here: where people edit a
 * file, a half-written one shall not be taken for settings, and they say SIGHUP when they are done.
 */
#define LINK_NAME "..data"

struct watch {
	int fd;
};

static void add_directory(int fd, const char *path)
{
	char dir[PATH_MAX];
	const char *slash = strrchr(path, '/');

	if (!*path)
		return;
	(void)snprintf(dir, sizeof(dir), "%.*s", slash ? (int)MAX(slash - path, 1) : 1,
		       slash ? path : ".");
	/* a directory that is not there will not come: volumes are mounted before we start */
	(void)inotify_add_watch(fd, dir, IN_MOVED_TO | IN_CREATE | IN_ONLYDIR);
}

struct watch *watch_new(const char *const *paths)
{
	struct watch *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	w->fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (w->fd < 0) {
		free(w);
		return NULL;
	}
	for (; *paths; paths++)
		add_directory(w->fd, *paths);
	return w;
}

void watch_free(struct watch *w)
{
	if (!w)
		return;
	(void)close(w->fd);
	free(w);
}

int watch_fd(const struct watch *w)
{
	return w ? w->fd : -1;
}

bool watch_take(struct watch *w)
{
	_Alignas(struct inotify_event) char events[4096];
	bool is_new = false;
	ssize_t n;

	while ((n = read(w->fd, events, sizeof(events))) > 0) {
		for (char *at = events; at < events + n;) {
			const struct inotify_event *e = (const void *)at;

			is_new |= e->len && strcmp(e->name, LINK_NAME) == 0;
			at += sizeof(*e) + e->len;
		}
	}
	return is_new;
}
