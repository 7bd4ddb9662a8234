// SPDX-License-Identifier: Apache-2.0
#include "record/key.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * Theory of operation. The key is written to a file of its own name and process first, and linked
 * to redact.key: link() fails when another process was faster, and then its key is read. So there
 * is never half a key under the name, and never a second one.
 */
#define KEY_NAME   "redact.key"
#define PATH_BYTES 4096

static int make_random(uint8_t key_out[KEY_BYTES], struct err *e)
{
	if (getrandom(key_out, KEY_BYTES, 0) != KEY_BYTES)
		return err_set(e, -EIO, "no random bytes: %s", strerror(errno));
	return 0;
}

/* Return: 0; -ENOENT when there is none yet. */
static int read_key(const char *path, uint8_t key_out[KEY_BYTES], struct err *e)
{
	uint8_t bytes[KEY_BYTES + 1];
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW), failed = 0;
	ssize_t n;

	if (fd < 0)
		return err_set(e, -errno, "%s: %s", path, strerror(errno));
	n = read(fd, bytes, sizeof(bytes));
	if (fstat(fd, &st) < 0 || n < 0)
		failed = err_set(e, -errno, "%s: %s", path, strerror(errno));
	else if (n != KEY_BYTES)
		failed = err_set(e, -EBADMSG, "%s: not %d bytes long: remove it to get a new key",
				 path, KEY_BYTES);
	else if (st.st_mode & (S_IRWXG | S_IRWXO))
		failed = err_set(e, -EBADMSG, "%s: others may read it (mode %03o): chmod 600", path,
				 (unsigned)st.st_mode & 0777);
	(void)close(fd);
	if (failed == 0)
		memcpy(key_out, bytes, KEY_BYTES);
	explicit_bzero(bytes, sizeof(bytes));
	return failed;
}

static int write_key(const char *path, const uint8_t key[KEY_BYTES], struct err *e)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600), failed = 0;

	if (fd < 0)
		return err_set(e, -errno, "%s: %s", path, strerror(errno));
	if (write(fd, key, KEY_BYTES) != KEY_BYTES || fsync(fd) < 0)
		failed = err_set(e, errno ? -errno : -EIO, "%s: %s", path, strerror(errno));
	(void)close(fd);
	return failed;
}

static int make_key(const char *path, uint8_t key_out[KEY_BYTES], struct err *e)
{
	char fresh[PATH_BYTES + 32];
	int failed = make_random(key_out, e);

	if (failed < 0)
		return failed;
	(void)snprintf(fresh, sizeof(fresh), "%s.%ld", path, (long)getpid());
	(void)unlink(fresh); /* of a process with our number that was killed */
	failed = write_key(fresh, key_out, e);
	if (failed == 0 && link(fresh, path) < 0)
		failed = errno == EEXIST ? read_key(path, key_out, e)
					 : err_set(e, -errno, "%s: %s", path, strerror(errno));
	(void)unlink(fresh);
	return failed;
}

int key_load(const char *dir, uint8_t key_out[KEY_BYTES], struct err *e)
{
	char path[PATH_BYTES];
	int failed;

	if (!dir)
		return make_random(key_out, e);
	if (mkdir(dir, 0750) < 0 && errno != EEXIST)
		return err_set(e, -errno, "%s: %s", dir, strerror(errno));
	if (snprintf(path, sizeof(path), "%s/" KEY_NAME, dir) >= (int)sizeof(path))
		return err_set(e, -ENAMETOOLONG, "%s: too long a name", dir);
	failed = read_key(path, key_out, e);
	return failed == -ENOENT ? make_key(path, key_out, e) : failed;
}
