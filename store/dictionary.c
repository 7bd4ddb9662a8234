// SPDX-License-Identifier: Apache-2.0
#include "store/dictionary.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <xxhash.h>
#define ZDICT_STATIC_LINKING_ONLY
#include <zdict.h>
#include <zstd.h>

#include "store/jobs.h"

/*
 * Theory of operation. A small exchange holds hardly anything twice; what repeats, repeats from one
 * exchange to the next. So the first few hundred of each class are kept as samples, a job makes a
 * dictionary of them, and from then on it is as if each exchange followed after those.
 *
 *	collecting ──enough samples──► training (a job has them) ──► ready
 *	                                          └── no use of it ──► given up
 *
 * Training takes fixed parameters instead of searching for the best: a few per cent larger, ten
 * times cheaper. A class is trained twice, early from few samples and again from many: most
 * classes are small or new, and the first hundred exchanges of a service are worth something too.
 *
 * Traffic changes: a service is released anew, another client comes. What blocks take is summed up
 * over windows of some hundred kilobytes. The best window since the class was trained is what its
 * dictionary can do; where two in a row take a quarter more, the class is trained again from what
 * comes now, and the old dictionary serves until that is done. Where this does not help (the traffic
 * has more in it that is new each time), the pause until the next attempt doubles. A tape has a row
 * for each dictionary that one of its blocks needs, old and new.
 *
 * Bounds: classes, samples of one class, samples of all that collect at the same time.
 */
#define CLASSES_MAX	 DICTIONARY_CLASSES
#define SLOTS		 256
#define KEY_MAX		 256
#define DICTIONARY_BYTES (16 << 10)
#define SAMPLE_BYTES_MAX (8 << 10)
#define COLLECTING_MAX	 12 /* classes at once */
#define SEGMENT                                                                                    \
	1500 /* of samples, scored as one: about an exchange; short ones make the                  \
		  dictionary a patchwork and the packs half as large again */

/* when a class is trained, for the first and the second time */
static const struct {
	size_t samples, bytes;
} enough[] = {{128, 128 << 10}, {512, 384 << 10}};
#define ROUNDS COUNT_OF(enough)

#define WINDOW_BYTES	(256u << 10)	    /* before compression */
#define PAUSE_BYTES	(UINT64_C(2) << 20) /* from one training to the next */
#define PAUSE_BYTES_MAX (UINT64_C(1) << 30)
#define WORSE_WINDOWS	2    /* in a row: it is no accident */
#define WORSE		1.25 /* than the best window */
#define HELPED		0.9  /* of what the windows took before */

/* How a class fares with its dictionary. */
struct fare {
	uint64_t raw, packed; /* of the window that is being filled */
	uint64_t since;	      /* bytes before compression since it was trained */
	uint64_t pause;
	double best;   /* of the windows since it was trained; 0: none yet */
	double before; /* of the last one with the dictionary before; 0: there was none */
	unsigned worse_count;
};

struct training {
	uint8_t *samples;
	size_t *sizes;
	size_t count, bytes;
	int level;
	void *dictionary; /* result, NULL: none */
	size_t dictionary_bytes;
	ZSTD_CDict *ready;
	atomic_bool is_done;
};

struct dictionary {
	uint64_t hash;
	char *name;
	size_t rounds; /* trained so often */
	struct training *collecting, *running, *trained;
	struct fare fare;
	uint32_t number;
};

struct dictionaries {
	struct jobs *jobs;
	int level;
	size_t count, collecting, trained;
	struct dictionary classes[CLASSES_MAX];
	uint8_t slots[SLOTS]; /* index + 1 in classes; 0: free */
};
_Static_assert(CLASSES_MAX < UINT8_MAX && CLASSES_MAX * 2 < SLOTS, "slots hold classes");

struct dictionaries *dictionaries_new(struct jobs *jobs, int level)
{
	struct dictionaries *d = calloc(1, sizeof(*d));

	if (d) {
		d->jobs = jobs;
		d->level = level;
	}
	return d;
}

static void training_free(struct training *t)
{
	if (!t)
		return;
	free(t->samples);
	free(t->sizes);
	free(t->dictionary);
	(void)ZSTD_freeCDict(t->ready);
	free(t);
}

void dictionaries_free(struct dictionaries *d)
{
	if (!d)
		return;
	for (size_t i = 0; i < d->count; i++) {
		training_free(d->classes[i].collecting);
		training_free(d->classes[i].running);
		training_free(d->classes[i].trained);
		free(d->classes[i].name);
	}
	free(d);
}

void dictionaries_set_level(struct dictionaries *d, int level)
{
	d->level = level;
}

uint64_t dictionaries_count(const struct dictionaries *d)
{
	return d->trained;
}

void dictionaries_leave_tape(struct dictionaries *d)
{
	for (size_t i = 0; i < d->count; i++)
		d->classes[i].number = 0;
}

/* --- classes --- */

/* A media type without its parameters. */
static struct span media_type(const struct message *m)
{
	struct span s = m->content_type;
	const uint8_t *end = span_chr(s, ';');

	return end ? span_trim(span_of(s.ptr, (size_t)(end - s.ptr))) : s;
}

/* "cart POST application/json application/json"; too long a name is cut: classes may share one. */
static size_t write_name(const struct exchange *x, char name[KEY_MAX])
{
	char address[ENDPOINT_TEXT_MAX];
	struct span service = endpoint_service(&x->dst);
	struct span parts[] = {service, x->method, media_type(&x->request),
			       media_type(&x->response)};
	size_t n = 0;

	if (service.len == 0)
		parts[0] = span_str(endpoint_text(&x->dst, address));
	for (size_t i = 0; i < COUNT_OF(parts); i++) {
		size_t len = MIN(parts[i].len, KEY_MAX - 2 - n);

		if (len)
			memcpy(name + n, parts[i].ptr, len);
		n += len;
		name[n++] = ' ';
		if (n > KEY_MAX - 2)
			break;
	}
	return n - 1;
}

struct dictionary *dictionary_of(struct dictionaries *d, const struct exchange *x)
{
	char name[KEY_MAX];
	size_t n = write_name(x, name);
	uint64_t hash = XXH3_64bits(name, n);
	size_t i = hash % SLOTS;

	for (; d->slots[i]; i = (i + 1) % SLOTS)
		if (d->classes[d->slots[i] - 1].hash == hash)
			return &d->classes[d->slots[i] - 1];
	if (d->count == CLASSES_MAX)
		return NULL;
	d->classes[d->count] = (struct dictionary){.hash = hash, .name = strndup(name, n)};
	d->slots[i] = (uint8_t)++d->count;
	return &d->classes[d->count - 1];
}

size_t dictionary_index(const struct dictionaries *d, const struct dictionary *c)
{
	return (size_t)(c - d->classes);
}

struct dictionary *dictionary_at(struct dictionaries *d, size_t index)
{
	return &d->classes[index];
}

struct span dictionary_class(const struct dictionary *c)
{
	return span_str(c->name ? c->name : "");
}

uint32_t *dictionary_number(struct dictionary *c)
{
	return &c->number;
}

/* --- training --- */

/* Thread: the job's. A class whose samples have nothing in common gets no dictionary. */
static void train(void *arg)
{
	struct training *t = arg;
	uint8_t *bytes = malloc(DICTIONARY_BYTES);
	ZDICT_fastCover_params_t params = {.k = SEGMENT,
					   .d = 8,
					   .f = 16,
					   .accel = 2,
					   .zParams = {.compressionLevel = t->level}};
	size_t n = 0;

	if (bytes)
		n = ZDICT_trainFromBuffer_fastCover(bytes, DICTIONARY_BYTES, t->samples, t->sizes,
						    (unsigned)t->count, params);
	if (bytes && !ZDICT_isError(n)) {
		t->dictionary = bytes;
		t->dictionary_bytes = n;
		t->ready = ZSTD_createCDict(bytes, n, t->level);
		bytes = NULL;
	}
	free(bytes);
	free(t->samples);
	free(t->sizes);
	t->samples = NULL;
	t->sizes = NULL;
	atomic_store_explicit(&t->is_done, true, memory_order_release);
}

static struct training *training_new(size_t round)
{
	struct training *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->samples = malloc(enough[round].bytes);
	t->sizes = malloc(enough[round].samples * sizeof(*t->sizes));
	if (t->samples && t->sizes)
		return t;
	training_free(t);
	return NULL;
}

static void start_training(struct dictionaries *d, struct dictionary *c)
{
	c->running = c->collecting;
	c->collecting = NULL;
	c->running->level = d->level;
	c->rounds++;
	d->collecting--;
	if (jobs_start(d->jobs, train, c->running) < 0) {
		training_free(c->running);
		c->running = NULL;
	}
}

void dictionary_learn(struct dictionaries *d, struct dictionary *c, struct span sample)
{
	struct training *t = c->collecting;
	size_t n = MIN(sample.len, (size_t)SAMPLE_BYTES_MAX), round = c->rounds;

	if (round == ROUNDS || c->running || n < 8)
		return;
	if (!t) {
		if (d->collecting == COLLECTING_MAX || !(t = training_new(round)))
			return;
		c->collecting = t;
		d->collecting++;
	}
	if (t->bytes + n <= enough[round].bytes) {
		memcpy(t->samples + t->bytes, sample.ptr, n);
		t->bytes += n;
		t->sizes[t->count++] = n;
	}
	if (t->count == enough[round].samples || t->bytes + SAMPLE_BYTES_MAX > enough[round].bytes)
		start_training(d, c);
}

/* --- is it still as good? --- */

static void begin_fare(struct fare *f)
{
	*f = (struct fare){.pause = MAX(f->pause, PAUSE_BYTES), .before = f->before};
}

/* The first window with another dictionary: was it worth it? */
static void judge_training(struct fare *f, double ratio)
{
	if (f->before > 0)
		f->pause = ratio > f->before * HELPED ? MIN(2 * f->pause, PAUSE_BYTES_MAX)
						      : PAUSE_BYTES;
	f->best = ratio;
}

/* Return: is it time to train again? */
static bool end_window(struct fare *f)
{
	double ratio = (double)f->packed / (double)f->raw;

	f->raw = f->packed = 0;
	if (f->best <= 0) {
		judge_training(f, ratio);
		return false;
	}
	f->best = MIN(f->best, ratio);
	f->worse_count = ratio > f->best * WORSE ? f->worse_count + 1 : 0;
	f->before = ratio;
	return f->worse_count >= WORSE_WINDOWS && f->since >= f->pause;
}

void dictionary_note(struct dictionary *c, uint64_t raw, uint64_t packed)
{
	struct fare *f = &c->fare;

	if (!c->trained || c->rounds < ROUNDS || c->running)
		return;
	f->raw += raw;
	f->packed += packed;
	f->since += raw;
	if (f->raw < WINDOW_BYTES || !end_window(f))
		return;
	f->worse_count = 0;
	f->since = 0;
	c->rounds = ROUNDS - 1;
}

static void take_result(struct dictionaries *d, struct dictionary *c)
{
	if (c->running->ready) {
		d->trained += c->trained == NULL;
		training_free(c->trained);
		c->trained = c->running;
		c->number = 0; /* another one than that on the tape */
		begin_fare(&c->fare);
	} else {
		training_free(c->running);
	}
	c->running = NULL;
}

const struct ZSTD_CDict_s *dictionary_ready(struct dictionaries *d, struct dictionary *c)
{
	if (c->running && atomic_load_explicit(&c->running->is_done, memory_order_acquire))
		take_result(d, c);
	return c->trained ? c->trained->ready : NULL;
}

struct span dictionary_bytes(const struct dictionary *c)
{
	return c->trained ? span_of(c->trained->dictionary, c->trained->dictionary_bytes)
			  : (struct span){0};
}
