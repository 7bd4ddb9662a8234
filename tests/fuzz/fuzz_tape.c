// SPDX-License-Identifier: Apache-2.0
/*
 * fuzz_tape - a damaged tape never crashes a reader
 *
 * A whole tape is made at the start; the input says where to damage it: 4 bytes of offset, 1 byte
 * of how many, then the bytes. An input that begins like a database is taken as the file itself.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "store/filter.h"
#include "store/reader.h"
#include "store/store.h"
#include "tests/unit/some_exchange.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct {
	uint8_t *bytes;
	size_t len;
} whole;

static void load(const char *path)
{
	FILE *f = fopen(path, "rb");

	if (!f || fseek(f, 0, SEEK_END) != 0)
		abort();
	whole.len = (size_t)ftell(f);
	whole.bytes = malloc(whole.len);
	rewind(f);
	if (!whole.bytes || fread(whole.bytes, 1, whole.len, f) != whole.len)
		abort();
	(void)fclose(f);
}

/* A tape with a little of everything, packed with dictionaries too. */
static void make_whole(void)
{
	char dir[] = "/tmp/fuzz_tape.XXXXXX", path[64];
	struct store_config config = store_config_default();
	struct store *s;
	uint8_t *room = malloc(SOME_ROOM);
	uint64_t seed = 20261122;

	config.is_bulk = true;
	if (!room || !mkdtemp(dir) || store_open(dir, &config, &s, NULL) < 0)
		abort();
	for (unsigned i = 0; i < 400; i++) {
		struct exchange x = some_exchange(&seed, 1000000000 + i * 1000, room);

		if (i >= 60) { /* one class, so that it gets a dictionary */
			x.dst.who.service = span_str("cart");
			x.method = span_str("GET");
			x.request.content_type = x.response.content_type = (struct span){0};
		}
		x.request.body.len = MIN(x.request.body.len, (size_t)64);
		x.response.body.len = MIN(x.response.body.len, (size_t)64);
		if (store_add(s, &x, NULL) < 0)
			abort();
	}
	if (store_close(s, NULL) < 0)
		abort();
	free(room);
	(void)snprintf(path, sizeof(path), "%s/tape-00000001.tape", dir);
	load(path);
	(void)unlink(path);
	(void)snprintf(path, sizeof(path), "%s/lock", dir);
	(void)unlink(path);
	(void)rmdir(dir);
}

/* Reads every byte that it is given, so that a sanitizer sees a span that lies. */
static int touch(void *ctx, const struct exchange *x)
{
	uint64_t *sum = ctx;
	const struct span spans[] = {x->method,
				     x->target,
				     x->host,
				     x->path,
				     x->route,
				     x->trace_id,
				     x->replay_of,
				     x->request.head,
				     x->request.body,
				     x->request.framing,
				     x->request.trailers,
				     x->response.head,
				     x->response.body,
				     x->response.framing,
				     x->response.trailers,
				     x->src.who.service,
				     x->dst.who.pod,
				     x->request.content_type};

	for (size_t i = 0; i < COUNT_OF(spans); i++)
		for (size_t j = 0; j < spans[i].len; j++)
			*sum += spans[i].ptr[j];
	return 0;
}

static int touch_failure(void *ctx, const struct failure *f)
{
	uint64_t *sum = ctx;

	*sum += f->count + f->route.len;
	return 0;
}

static void read_everything(const char *path)
{
	struct reader *r;
	struct filter *f = NULL;
	struct query q = {.wants_messages = true};
	struct err e;
	uint64_t sum = 0, id;

	if (reader_open(path, &r, &e) < 0)
		return;
	(void)!reader_list(r, &q, touch, &sum, NULL, &e);
	q.is_reverse = true;
	q.wants_messages = false;
	if (filter_parse(SPAN_LIT("dst.service == \"cart\" && path.contains(\"a\")"), &f, NULL) ==
	    0)
		q.filter = f;
	(void)!reader_list(r, &q, touch, &sum, NULL, &e);
	(void)!reader_failures(r, &q, 0, touch_failure, &sum, &e);
	(void)!reader_resolve(r, SPAN_LIT("7Z"), &id, &e);
	(void)!reader_get(r, 1000001000, touch, &sum, &e);
	filter_free(f);
	reader_close(r);
}

static void put(int fd, const uint8_t *bytes, size_t len, off_t at)
{
	if (pwrite(fd, bytes, len, at) != (ssize_t)len)
		abort();
}

static void damage(int fd, const uint8_t *data, size_t size)
{
	while (size > 5) {
		size_t at = ((size_t)data[0] | (size_t)data[1] << 8 | (size_t)data[2] << 16) %
			    whole.len;
		size_t n = MIN(MIN((size_t)data[4] % 32 + 1, size - 5), whole.len - at);

		put(fd, data + 5, n, (off_t)at);
		data += 5 + n;
		size -= 5 + n;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char path[64];
	int fd;

	if (!whole.bytes)
		make_whole();
	fd = memfd_create("tape", 0);
	if (fd < 0)
		abort();
	if (size > 16 && memcmp(data, "SQLite format 3", 16) == 0) {
		put(fd, data, size, 0);
	} else {
		put(fd, whole.bytes, whole.len, 0);
		damage(fd, data, size);
	}
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	read_everything(path);
	(void)close(fd);
	return 0;
}
