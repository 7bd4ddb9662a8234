// SPDX-License-Identifier: Apache-2.0
/*
 * fault - a preloaded library that counts what a program does to the files of one directory, lets
 *the nth of these calls fail, and writes down all of them
 *
 *	FAULT_DIR=DIR     files below it (required)
 *	FAULT_NTH=N       the Nth call fails, counted from 1
 *	FAULT_STICKY=1    and all that come after it
 *	FAULT_ERRNO=N     with this errno (5, EIO); a failing write of ENOSPC writes its first half
 *	FAULT_CALLS=FILE  at the end: how many calls there were
 *	FAULT_LOG=FILE    each call that succeeded, with its bytes: tests/tools/powercut.py makes of
 *it what a disk may hold after a power cut FAULT_KILL=1      the Nth call kills the process
 *instead: kill -9 at every call
 *
 * Calls: write, pwrite, fsync, fdatasync, ftruncate, rename, link, unlink, and open where it makes
 *a file. The process may have threads; calls are counted in the order in which they come.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct {
	const char *dir, *calls_path;
	size_t dir_len;
	unsigned long nth, count;
	int error, log_fd;
	int is_sticky, is_kill;
	pthread_mutex_t lock;
} fault = {.log_fd = -1, .lock = PTHREAD_MUTEX_INITIALIZER};

#define REAL(name) ((__typeof__(&name))real(#name))

static void *real(const char *name)
{
	void *p = dlsym(RTLD_NEXT, name);

	if (!p)
		abort();
	return p;
}

__attribute__((constructor)) static void begin(void)
{
	const char *nth = getenv("FAULT_NTH"), *error = getenv("FAULT_ERRNO");
	const char *log = getenv("FAULT_LOG");

	fault.dir = getenv("FAULT_DIR");
	fault.dir_len = fault.dir ? strlen(fault.dir) : 0;
	fault.calls_path = getenv("FAULT_CALLS");
	fault.nth = nth ? strtoul(nth, NULL, 10) : 0;
	fault.error = error ? atoi(error) : EIO;
	fault.is_sticky = getenv("FAULT_STICKY") != NULL;
	fault.is_kill = getenv("FAULT_KILL") != NULL;
	if (log)
		fault.log_fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

__attribute__((destructor)) static void end(void)
{
	FILE *f = fault.calls_path ? fopen(fault.calls_path, "w") : NULL;

	if (f) {
		(void)fprintf(f, "%lu\n", fault.count);
		(void)fclose(f);
	}
}

static int is_ours(const char *path)
{
	return fault.dir && path && strncmp(path, fault.dir, fault.dir_len) == 0 &&
	       (path[fault.dir_len] == '/' || path[fault.dir_len] == '\0');
}

/* The name of an open file; it may have been removed. */
static int is_our_fd(int fd, char path[512])
{
	char link[64];
	ssize_t n;

	if (!fault.dir || fd == fault.log_fd)
		return 0;
	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, 511);
	path[n > 0 ? n : 0] = '\0';
	return is_ours(path);
}

/* Return: must this call fail? */
static int is_struck(void)
{
	int is_it;

	(void)pthread_mutex_lock(&fault.lock);
	fault.count++;
	is_it = fault.nth &&
		(fault.count == fault.nth || (fault.is_sticky && fault.count > fault.nth));
	(void)pthread_mutex_unlock(&fault.lock);
	if (is_it && fault.is_kill)
		(void)kill(getpid(), SIGKILL);
	if (is_it)
		errno = fault.error;
	return is_it;
}

/* One line, then the bytes: what, where, how many, names. */
static void note(const char *what, const char *path, const char *to, long long at,
		 const void *bytes, size_t n)
{
	char line[1200];
	int len;

	if (fault.log_fd < 0)
		return;
	len = snprintf(line, sizeof(line), "%s\t%lld\t%zu\t%s\t%s\n", what, at, n,
		       path + fault.dir_len, to ? to + fault.dir_len : "");
	(void)pthread_mutex_lock(&fault.lock);
	if (REAL(write)(fault.log_fd, line, (size_t)len) < 0 ||
	    (n && REAL(write)(fault.log_fd, bytes, n) < 0))
		abort();
	(void)pthread_mutex_unlock(&fault.lock);
}

static ssize_t put(int fd, const void *bytes, size_t n, long long at)
{
	char path[512];
	int is_ours_ = is_our_fd(fd, path);
	ssize_t done;

	if (is_ours_ && is_struck()) {
		if (fault.error == ENOSPC && n > 1 && at >= 0)
			(void)!REAL(pwrite64)(fd, bytes, n / 2, at);
		errno = fault.error;
		return -1;
	}
	if (is_ours_ && at < 0)
		at = lseek(fd, 0, SEEK_CUR);
	else if (at < 0)
		return REAL(write)(fd, bytes, n);
	done = REAL(pwrite64)(fd, bytes, n, at);
	if (is_ours_ && done > 0)
		note("write", path, NULL, at, bytes, (size_t)done);
	return done;
}

ssize_t write(int fd, const void *bytes, size_t n)
{
	char path[512];

	if (!is_our_fd(fd, path))
		return REAL(write)(fd, bytes, n);
	if (is_struck())
		return -1;
	long long at = lseek(fd, 0, SEEK_CUR);
	ssize_t done = REAL(write)(fd, bytes, n);

	if (done > 0)
		note("write", path, NULL, at, bytes, (size_t)done);
	return done;
}

ssize_t pwrite64(int fd, const void *bytes, size_t n, off64_t at)
{
	return put(fd, bytes, n, at);
}

ssize_t pwrite(int fd, const void *bytes, size_t n, off_t at)
{
	return put(fd, bytes, n, at);
}

static int sync_with(int (*sync_)(int), int fd)
{
	char path[512];

	if (!is_our_fd(fd, path))
		return sync_(fd);
	if (is_struck())
		return -1;
	int r = sync_(fd);

	if (r == 0)
		note("sync", path, NULL, 0, NULL, 0);
	return r;
}

int fsync(int fd)
{
	return sync_with(REAL(fsync), fd);
}

int fdatasync(int fd)
{
	return sync_with(REAL(fdatasync), fd);
}

int ftruncate64(int fd, off64_t length)
{
	char path[512];

	if (!is_our_fd(fd, path))
		return REAL(ftruncate64)(fd, length);
	if (is_struck())
		return -1;
	int r = REAL(ftruncate64)(fd, length);

	if (r == 0)
		note("truncate", path, NULL, length, NULL, 0);
	return r;
}

int ftruncate(int fd, off_t length)
{
	return ftruncate64(fd, length);
}

int rename(const char *from, const char *to)
{
	if (!is_ours(from))
		return REAL(rename)(from, to);
	if (is_struck())
		return -1;
	int r = REAL(rename)(from, to);

	if (r == 0)
		note("rename", from, to, 0, NULL, 0);
	return r;
}

int link(const char *from, const char *to)
{
	if (!is_ours(from))
		return REAL(link)(from, to);
	if (is_struck())
		return -1;
	int r = REAL(link)(from, to);

	if (r == 0)
		note("link", from, to, 0, NULL, 0);
	return r;
}

int unlink(const char *path)
{
	if (!is_ours(path))
		return REAL(unlink)(path);
	if (is_struck())
		return -1;
	int r = REAL(unlink)(path);

	if (r == 0)
		note("unlink", path, NULL, 0, NULL, 0);
	return r;
}

static int open_with(const char *name, const char *path, int flags, mode_t mode)
{
	int (*open_)(const char *, int, ...) = (int (*)(const char *, int, ...))real(name);
	int is_making = (flags & O_CREAT) && is_ours(path) && access(path, F_OK) < 0;

	if (is_making && is_struck())
		return -1;
	int fd = open_(path, flags, mode);

	if (fd >= 0 && is_making)
		note("make", path, NULL, 0, NULL, 0);
	return fd;
}

static mode_t mode_of(int flags, va_list args)
{
	return flags & O_CREAT ? (mode_t)va_arg(args, int) : 0;
}

int open(const char *path, int flags, ...)
{
	va_list args;

	va_start(args, flags);
	mode_t mode = mode_of(flags, args);

	va_end(args);
	return open_with("open", path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
	va_list args;

	va_start(args, flags);
	mode_t mode = mode_of(flags, args);

	va_end(args);
	return open_with("open64", path, flags, mode);
}
