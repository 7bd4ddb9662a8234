// SPDX-License-Identifier: Apache-2.0
#include "record/netns.h"

#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define NETNS_DIRECTORY "/run/netns"

int netns_path(const char *name, char out[NETNS_PATH_MAX], struct err *e)
{
	const char *dir = strchr(name, '/') ? "" : NETNS_DIRECTORY "/";

	if (snprintf(out, NETNS_PATH_MAX, "%s%s", dir, name) >= NETNS_PATH_MAX)
		return err_set(e, -ENAMETOOLONG, "network namespace %.80s...: too long a name",
			       name);
	return 0;
}

/* What the thread gets and gives. */
struct errand {
	const char *path;
	int (*fn)(void *arg, struct err *e);
	void *arg;
	struct err *e;
	int result;
};

static int enter(const char *path, struct err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), failed = 0;

	if (fd < 0)
		return err_set(e, -errno, "network namespace %s: %s", path, strerror(errno));
	if (setns(fd, CLONE_NEWNET) < 0)
		failed = err_set(e, -errno, "network namespace %s: %s%s", path, strerror(errno),
				 errno == EPERM ? ": entering it needs CAP_SYS_ADMIN" : "");
	(void)close(fd);
	return failed;
}

static void *run_errand(void *arg)
{
	struct errand *task = arg;

	task->result = enter(task->path, task->e);
	if (task->result == 0)
		task->result = task->fn(task->arg, task->e);
	return NULL;
}

int netns_run(const char *path, int (*fn)(void *arg, struct err *e), void *arg, struct err *e)
{
	struct errand task = {.path = path, .fn = fn, .arg = arg, .e = e};
	pthread_t thread;
	int failed;

	if (!path)
		return fn(arg, e);
	failed = pthread_create(&thread, NULL, run_errand, &task);
	if (failed)
		return err_set(e, -failed, "network namespace %s: no thread: %s", path,
			       strerror(failed));
	(void)pthread_join(thread, NULL);
	return task.result;
}

uint64_t netns_inode(const char *path)
{
	struct stat st;

	return stat(path ? path : "/proc/thread-self/ns/net", &st) < 0 ? 0 : (uint64_t)st.st_ino;
}

/* Return: false for an address that tells nobody apart. */
static bool take_address(const struct sockaddr *sa, uint8_t out[16])
{
	const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)(const void *)sa;
	const struct sockaddr_in *four = (const struct sockaddr_in *)(const void *)sa;
	static const uint8_t v4_prefix[12] = {[10] = 0xff, [11] = 0xff};

	if (sa && sa->sa_family == AF_INET) {
		memcpy(out, v4_prefix, sizeof(v4_prefix));
		memcpy(out + 12, &four->sin_addr, 4);
		return true;
	}
	if (sa && sa->sa_family == AF_INET6 && !IN6_IS_ADDR_LINKLOCAL(&six->sin6_addr)) {
		memcpy(out, &six->sin6_addr, 16);
		return true;
	}
	return false;
}

int netns_addresses(void (*fn)(void *ctx, const uint8_t address[16]), void *ctx)
{
	struct ifaddrs *all;
	uint8_t address[16];

	if (getifaddrs(&all) < 0)
		return -errno;
	for (struct ifaddrs *a = all; a; a = a->ifa_next)
		if (!(a->ifa_flags & IFF_LOOPBACK) && take_address(a->ifa_addr, address))
			fn(ctx, address);
	freeifaddrs(all);
	return 0;
}
