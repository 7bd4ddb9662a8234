// SPDX-License-Identifier: Apache-2.0
#include "store/directory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME_FORMAT "tape-%08" PRIu64 ".tape"
#define PART	    ".part"
#define PIN	    ".pin"
#define LOCK_NAME   "lock"
#define FAILURES    "failures"

/* what SQLite and we put beside a tape: it goes with it and counts */
static const char *const companions[] = {"-wal", "-shm", "-journal", PART, PIN};

/* Return: the number in a tape's name, with what follows it in @rest; 0 when it is none. */
static uint64_t number_of(const char *name, const char **rest)
{
	uint64_t number = 0;
	size_t digits = strlen("tape-");

	if (strncmp(name, "tape-", digits) != 0)
		return 0;
	for (name += digits, digits = 0; *name >= '0' && *name <= '9' && digits < 18; digits++)
		number = number * 10 + (uint64_t)(*name++ - '0');
	if (digits < 8 || strncmp(name, ".tape", 5) != 0)
		return 0;
	*rest = name + 5;
	return number;
}

static int by_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static bool list_add(struct tape_list *l, uint64_t number)
{
	uint64_t *grown;

	if ((l->count & (l->count - 1)) == 0) { /* full at powers of two */
		grown = realloc(l->numbers, (l->count ? 2 * l->count : 1) * sizeof(*grown));
		if (!grown)
			return false;
		l->numbers = grown;
	}
	l->numbers[l->count++] = number;
	return true;
}

int directory_list(const char *dir, struct tape_list *out, struct err *e)
{
	struct tape_list l = {0};
	struct dirent *entry;
	const char *rest;
	bool is_whole = true;
	DIR *d = opendir(dir);

	if (!d)
		return err_set(e, -errno, "store %s: %s", dir, strerror(errno));
	while (is_whole && (entry = readdir(d)) != NULL) {
		uint64_t number = number_of(entry->d_name, &rest);

		if (number && *rest == '\0')
			is_whole = list_add(&l, number);
	}
	(void)closedir(d);
	if (!is_whole) {
		tape_list_fini(&l);
		return err_set(e, -ENOMEM, "store %s: out of memory", dir);
	}
	if (l.count)
		qsort(l.numbers, l.count, sizeof(l.numbers[0]), by_number);
	*out = l;
	return 0;
}

void tape_list_fini(struct tape_list *l)
{
	free(l->numbers);
	*l = (struct tape_list){0};
}

const char *directory_path(struct buf *out, const char *dir, uint64_t number, bool is_part)
{
	buf_clear(out);
	buf_add_fmt(out, "%s/" NAME_FORMAT "%s", dir, number, is_part ? PART : "");
	return buf_cstr(out);
}

static uint64_t file_bytes(const char *path, const char *ending)
{
	AUTO_BUF name = {0};
	struct stat st;

	buf_add_fmt(&name, "%s%s", path, ending);
	if (stat(buf_cstr(&name), &st) < 0)
		return 0;
	return MAX((uint64_t)st.st_blocks * 512, (uint64_t)st.st_size);
}

uint64_t directory_file_bytes(const char *path)
{
	uint64_t sum = file_bytes(path, "");

	for (size_t i = 0; i < COUNT_OF(companions); i++)
		sum += file_bytes(path, companions[i]);
	return sum;
}

uint64_t directory_main_bytes(const char *path)
{
	return file_bytes(path, "");
}

bool directory_has_log(const char *path)
{
	AUTO_BUF name = {0};

	buf_add_fmt(&name, "%s-wal", path);
	return access(buf_cstr(&name), F_OK) == 0;
}

uint64_t directory_bytes(const char *dir)
{
	struct dirent *entry;
	struct stat st;
	uint64_t sum = 0;
	DIR *d = opendir(dir);

	if (!d)
		return 0;
	while ((entry = readdir(d)) != NULL)
		if (fstatat(dirfd(d), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    S_ISREG(st.st_mode))
			sum += MAX((uint64_t)st.st_blocks * 512, (uint64_t)st.st_size);
	(void)closedir(d);
	return sum;
}

static const char *pin_of(struct buf *name, const char *path)
{
	buf_clear(name);
	buf_add_fmt(name, "%s" PIN, path);
	return buf_cstr(name);
}

bool directory_is_pinned(const char *path)
{
	AUTO_BUF name = {0};

	return access(pin_of(&name, path), F_OK) == 0;
}

int directory_pin(const char *path, bool is_pinned, struct err *e)
{
	AUTO_BUF name = {0};
	int fd;

	if (access(path, F_OK) < 0)
		return err_set(e, -errno, "tape %s: %s", path, strerror(errno));
	if (!is_pinned) {
		if (unlink(pin_of(&name, path)) < 0 && errno != ENOENT)
			return err_set(e, -errno, "tape %s: cannot be unpinned: %s", path,
				       strerror(errno));
		return 0;
	}
	fd = open(pin_of(&name, path), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (fd < 0)
		return err_set(e, -errno, "tape %s: cannot be pinned: %s", path, strerror(errno));
	(void)close(fd);
	return 0;
}

const char *directory_failures(struct buf *out, const char *dir)
{
	buf_clear(out);
	buf_add_fmt(out, "%s/" FAILURES, dir);
	return buf_cstr(out);
}

void directory_unlink(const char *path)
{
	AUTO_BUF name = {0};

	(void)unlink(path);
	for (size_t i = 0; i < COUNT_OF(companions); i++) {
		buf_clear(&name);
		buf_add_fmt(&name, "%s%s", path, companions[i]);
		(void)unlink(buf_cstr(&name));
	}
}

/* Does a name belong to a tape that is not there (any more), or not yet whole? */
static bool is_left_over(int dirfd_, const char *name)
{
	const char *rest;
	uint64_t number = number_of(name, &rest);
	char tape[64];

	if (!number || *rest == '\0')
		return false;
	(void)snprintf(tape, sizeof(tape), "%.*s", (int)(rest - name), name);
	return strncmp(rest, PART, strlen(PART)) == 0 || faccessat(dirfd_, tape, F_OK, 0) < 0;
}

void directory_tidy(const char *dir)
{
	struct dirent *entry;
	DIR *d = opendir(dir);

	if (!d)
		return;
	while ((entry = readdir(d)) != NULL)
		if (is_left_over(dirfd(d), entry->d_name))
			(void)unlinkat(dirfd(d), entry->d_name, 0);
	(void)closedir(d);
}

void directory_tidy_all(const char *dir)
{
	AUTO_BUF failures = {0};

	directory_tidy(dir);
	directory_tidy(directory_failures(&failures, dir));
}

static int each_tape(const char *dir, bool is_failures, directory_tape_fn *fn, void *ctx,
		     struct err *e)
{
	AUTO_BUF path = {0};
	struct tape_list l;
	struct err why = {0};
	int r = directory_list(dir, &l, &why);

	if (r < 0)
		return is_failures && r == -ENOENT ? 0 : err_set(e, r, "%s", why.why);
	for (size_t i = 0; i < l.count && r == 0; i++)
		r = fn(ctx, directory_path(&path, dir, l.numbers[i], false), is_failures, e);
	tape_list_fini(&l);
	return r;
}

int directory_each_tape(const char *dir, directory_tape_fn *fn, void *ctx, struct err *e)
{
	AUTO_BUF failures = {0};
	int r = each_tape(dir, false, fn, ctx, e);

	return r < 0 ? r : each_tape(directory_failures(&failures, dir), true, fn, ctx, e);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st, (void)type, (void)at;
	(void)remove(path);
	return 0;
}

void directory_remove(const char *dir)
{
	(void)nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static int say_who(int fd, const char *dir, struct err *e)
{
	char pid[24] = "";
	ssize_t n = pread(fd, pid, sizeof(pid) - 1, 0);

	(void)close(fd);
	pid[n > 0 ? n : 0] = '\0';
	pid[strcspn(pid, "\n")] = '\0';
	if (!*pid)
		return err_set(e, -EBUSY, "store %s: another process writes to it", dir);
	return err_set(e, -EBUSY, "store %s: process %s writes to it", dir, pid);
}

int directory_lock(const char *dir, int *fd_out, struct err *e)
{
	AUTO_BUF name = {0};
	int fd, written;

	if (mkdir(dir, 0750) < 0 && errno != EEXIST)
		return err_set(e, -errno, "store %s: %s", dir, strerror(errno));
	buf_add_fmt(&name, "%s/" LOCK_NAME, dir);
	fd = open(buf_cstr(&name), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (fd < 0)
		return err_set(e, -errno, "store %s: cannot be written: %s", dir, strerror(errno));
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return say_who(fd, dir, e);
	/* for people; the lock itself is what counts, also when the disk has no room for a line */
	written = ftruncate(fd, 0) == 0 ? dprintf(fd, "%ld\n", (long)getpid()) : 0;
	(void)written;
	*fd_out = fd;
	return 0;
}

void directory_sync(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return;
	(void)fsync(fd);
	(void)close(fd);
}

void directory_sync_of(const char *path)
{
	AUTO_BUF dir = {0};
	const char *slash = strrchr(path, '/');

	buf_add_fmt(&dir, "%.*s", slash ? (int)(slash - path) : 1, slash ? path : ".");
	directory_sync(buf_cstr(&dir));
}
