// SPDX-License-Identifier: Apache-2.0
#include "record/tapconfigs.h"

#include <errno.h>
#include <stdlib.h>

#include "record/sample.h"
#include "wire/adopt.h"

/*
 * Theory of operation. Taps are sorted by their namespace, so those of one lie side by side. An exchange is its
 * server's: the namespace of the pod (or service) that answers decides alone whether it is recorded, and of a request
 * that leaves the cluster the client's. Taps of other namespaces are never asked: that is the wall between them, and it
 * holds whatever their expressions say.
 *
 *	recorded  =  any TapConfig of the namespace: selects the pod, has a match that holds, keeps it by its sample
 *	masked    =  all that any TapConfig of either end's namespace names, whichever pods it selects
 *
 * So more TapConfigs mean more that is recorded, and never less that is masked. Masking comes first: an expression sees
 * what a reader of the tape will see. It is the decoder's own redaction once more, with more names (wire/adopt.h): what
 * has become a tag stays one, and equal secrets have equal tags because the key is the store's.
 *
 * Of two ends nobody knows, either may be of a namespace that masks: then all that anybody names is masked.
 *
 * Shares of several TapConfigs: an exchange that one in 100 keeps is kept by one in 10, too (record/sample.c), so of those
 * that keep it the smallest weight is right.
 *
 * Bounded: samplers and redactors are made when they are first needed, since a node sees few of a cluster's
 * namespaces, and redactors (they hold heads) are given up, the longest unused first, when there are many.
 */
#define REDACTORS_MAX 32
#define NO_ONE	      0 /* bits of those that asked */

struct row {
	struct tapconfig *config; /* referenced */
	struct sampler *sampler;  /* NULL: not made yet, or not needed */
};

struct space {
	/* of its first TapConfig; empty: everybody's names, for ends that are not known */
	struct span name;
	size_t first, count; /* rows; bits of asked_bits in that order */
	bool is_asking;
	const char **headers, **params; /* of all its TapConfigs, texts are theirs; NULL: none */
	struct adopter *adopter;	/* NULL: not made yet */
	uint64_t used;			/* when it was needed last, by tapconfigs.turn */
};

struct tapconfigs {
	uint8_t key[32];
	struct row *rows;
	size_t row_count;
	struct space *spaces; /* by name; behind them one more, for those who are not known */
	size_t space_count;
	size_t adopter_count;
	uint64_t turn;
	struct adopted copies[2];   /* what redaction made of the last exchange */
	const struct space *judged; /* the last one's */
	uint32_t asked_bits;	    /* those of its TapConfigs that asked for it */
	uint64_t gave_up;	    /* not told yet */
};
_Static_assert(TAPCONFIGS_PER_NAMESPACE_MAX <= 32, "TapConfigs of a namespace are bits");

/* ---- making ---- */

static int compare_tapconfigs(const void *a, const void *b)
{
	const struct row *x = a, *y = b;

	return strcmp(x->config->name_space, y->config->name_space);
}

static bool is_same_space(const struct tapconfigs *t, size_t a, size_t b)
{
	return strcmp(t->rows[a].config->name_space, t->rows[b].config->name_space) == 0;
}

static size_t count_names(const char *const *names)
{
	size_t n = 0;

	while (names[n])
		n++;
	return n;
}

/* The names that rows [first, first + count) give, as one list; *@out NULL: there are none. */
static int collect(const struct tapconfigs *t, size_t first, size_t count, bool is_params,
		   const char ***out)
{
	const char **all;
	size_t total = 0, n = 0;

	for (int pass = 0; pass < 2; pass++) {
		all = pass ? *out : NULL;
		for (size_t i = first; i < first + count; i++) {
			const struct tapspec *s = t->rows[i].config->spec;
			const char *const *names = !s ? NULL : is_params ? s->params : s->headers;
			size_t here = names ? count_names(names) : 0;

			for (size_t k = 0; all && k < here; k++)
				all[n++] = names[k];
			total += pass ? 0 : here;
		}
		if (total == 0)
			return 0;
		if (pass == 0 && !(*out = calloc(total + 1, sizeof(**out))))
			return -ENOMEM;
	}
	return 0;
}

static int set_space(struct tapconfigs *t, struct space *s, size_t first, size_t count)
{
	s->first = first;
	s->count = MIN(count, TAPCONFIGS_PER_NAMESPACE_MAX);
	for (size_t i = first; i < first + s->count; i++)
		s->is_asking |= !t->rows[i].config->spec || t->rows[i].config->spec->is_asking;
	if (collect(t, first, count, false, &s->headers) < 0 ||
	    collect(t, first, count, true, &s->params) < 0)
		return -ENOMEM;
	return 0;
}

static int set_spaces(struct tapconfigs *t)
{
	for (size_t at = 0, end; at < t->row_count; at = end) {
		struct space *s = &t->spaces[t->space_count++];

		for (end = at + 1; end < t->row_count && is_same_space(t, at, end);)
			end++;
		s->name = span_str(t->rows[at].config->name_space);
		if (set_space(t, s, at, end - at) < 0)
			return -ENOMEM;
	}
	return set_space(t, &t->spaces[t->space_count], 0, t->row_count);
}

struct tapconfigs *tapconfigs_new(struct tapconfig *const *all, size_t count, const uint8_t key[32])
{
	struct tapconfigs *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	memcpy(t->key, key, sizeof(t->key));
	t->rows = calloc(count + 1, sizeof(*t->rows));
	t->spaces = calloc(count + 1, sizeof(*t->spaces));
	for (; t->rows && t->row_count < count; t->row_count++)
		t->rows[t->row_count].config = tapconfig_ref(all[t->row_count]);
	if (t->rows && count)
		qsort(t->rows, count, sizeof(*t->rows), compare_tapconfigs);
	if (!t->rows || !t->spaces || set_spaces(t) < 0) {
		tapconfigs_free(t);
		return NULL;
	}
	return t;
}

void tapconfigs_free(struct tapconfigs *t)
{
	if (!t)
		return;
	for (size_t i = 0; t->spaces && i <= t->space_count; i++) {
		free(t->spaces[i].headers);
		free(t->spaces[i].params);
		adopter_free(t->spaces[i].adopter);
	}
	for (size_t i = 0; i < t->row_count; i++) {
		sampler_free(t->rows[i].sampler);
		tapconfig_unref(t->rows[i].config);
	}
	explicit_bzero(t->key, sizeof(t->key));
	free(t->spaces);
	free(t->rows);
	free(t);
}

/* ---- whose it is ---- */

static int compare_spans(struct span a, struct span b)
{
	size_t n = MIN(a.len, b.len);
	int sign = n ? memcmp(a.ptr, b.ptr, n) : 0;

	return sign ? sign : (a.len > b.len) - (a.len < b.len);
}

static struct space *find_space(struct tapconfigs *t, struct span name)
{
	size_t from = 0, to = t->space_count;

	while (name.len && from < to) {
		size_t mid = from + (to - from) / 2;
		int sign = compare_spans(name, t->spaces[mid].name);

		if (sign == 0)
			return &t->spaces[mid];
		if (sign < 0)
			to = mid;
		else
			from = mid + 1;
	}
	return NULL;
}

/* ---- masking ---- */

static void give_up_longest_unused(struct tapconfigs *t)
{
	struct space *oldest = NULL;

	for (size_t i = 0; i <= t->space_count; i++)
		if (t->spaces[i].adopter && (!oldest || t->spaces[i].used < oldest->used))
			oldest = &t->spaces[i];
	adopter_free(oldest->adopter);
	oldest->adopter = NULL;
	t->adopter_count--;
}

/* The one that was needed last stays: what it made is still looked at. */
static struct adopter *adopter_of(struct tapconfigs *t, struct space *s)
{
	s->used = ++t->turn;
	if (s->adopter)
		return s->adopter;
	if (t->adopter_count == REDACTORS_MAX)
		give_up_longest_unused(t);
	s->adopter = adopter_new(t->key, s->headers, s->params);
	t->adopter_count += s->adopter != NULL;
	return s->adopter;
}

static struct exchange *mask(struct tapconfigs *t, struct space *s, struct exchange *x,
			     struct adopted *copy, size_t *secrets)
{
	struct foreign f;
	struct adopter *a;

	if (!s || (!s->headers && !s->params) ||
	    !((x->request.flags | x->response.flags) & MESSAGE_PRESENT))
		return x;
	a = adopter_of(t, s);
	f = (struct foreign){.x = *x, .is_complete = true};
	if (!a || adopt(a, &f, copy) < 0)
		return NULL;
	*secrets += copy->secrets;
	return copy->secrets ? &copy->x : x;
}

struct exchange *tapconfigs_redact(struct tapconfigs *t, struct exchange *x, size_t *secrets_out)
{
	struct space *server, *client;

	*secrets_out = 0;
	if (!t || t->row_count == 0)
		return x;
	server = find_space(t, x->dst.who.name_space);
	client = find_space(t, x->src.who.name_space);
	if (!x->dst.who.source && !x->src.who.source)
		server = &t->spaces[t->space_count];
	x = mask(t, server, x, &t->copies[0], secrets_out);
	return x && client != server ? mask(t, client, x, &t->copies[1], secrets_out) : x;
}

/* ---- judging ---- */

static bool has_share(const struct tapspec *s)
{
	return s->one_in > 1 || s->rate_max;
}

/* Return: how many it stands for; 0: it is left out. Without memory for deciding it is kept. */
static uint32_t weigh(struct row *row, const struct exchange *x, uint64_t now_ns)
{
	const struct tapspec *s = row->config->spec;
	const struct sample_policy policy = {.one_in = s->one_in,
					     .rate_max = s->rate_max,
					     .first = s->first,
					     .is_of_namespace = true};

	if (!row->sampler && sampler_new(&policy, &row->sampler, NULL) < 0)
		return 1;
	return sampler_weigh(row->sampler, x, now_ns);
}

/* The smallest weight of those that asked; 0: all of them leave it out. */
static uint32_t weigh_all(struct tapconfigs *t, const struct space *s, const struct exchange *x,
			  uint64_t now_ns, bool *was_asked)
{
	uint32_t best = 0;

	for (size_t i = 0; i < s->count; i++) {
		struct row *row = &t->rows[s->first + i];
		uint32_t weight = 1;

		if (!(t->asked_bits >> i & 1))
			continue;
		if (has_share(row->config->spec)) {
			*was_asked = true;
			weight = weigh(row, x, now_ns);
		}
		if (weight && (!best || weight < best))
			best = weight;
	}
	return best;
}

static uint32_t ask_all(struct tapconfigs *t, const struct space *s, struct filter_scratch *scratch,
			const struct identity *who, const struct exchange *x)
{
	uint32_t bits = NO_ONE;

	for (size_t i = 0; i < s->count; i++) {
		const struct tapconfig *config = t->rows[s->first + i].config;

		if (tapconfig_selects(config, who) &&
		    tapconfig_asks(config, scratch, x, &t->gave_up))
			bits |= UINT32_C(1) << i;
	}
	return bits;
}

enum tapconfigs_answer tapconfigs_judge(struct tapconfigs *t, struct filter_scratch *scratch,
					const struct exchange *x, uint64_t now_ns,
					uint32_t *weight_out)
{
	const struct identity *who = x->dst.who.name_space.len ? &x->dst.who : &x->src.who;
	struct space *s = t ? find_space(t, who->name_space) : NULL;
	bool has_sampled = false;
	uint32_t weight;

	*weight_out = 0;
	if (t)
		t->asked_bits = NO_ONE;
	if (!s || !s->is_asking)
		return TAPCONFIGS_SILENT;
	t->judged = s;
	t->asked_bits = ask_all(t, s, scratch, who, x);
	if (!t->asked_bits)
		return TAPCONFIGS_UNWANTED;
	if (x->weight)
		return TAPCONFIGS_WANTED;
	weight = weigh_all(t, s, x, now_ns, &has_sampled);
	*weight_out = has_sampled ? weight : 0;
	return weight ? TAPCONFIGS_WANTED : TAPCONFIGS_SAMPLED;
}

uint64_t tapconfigs_take_limits(struct tapconfigs *t)
{
	uint64_t count = t ? t->gave_up : 0;

	if (count)
		t->gave_up = 0;
	return count;
}

void tapconfigs_recorded(struct tapconfigs *t)
{
	for (size_t i = 0; t && t->asked_bits >> i; i++)
		if (t->asked_bits >> i & 1)
			atomic_fetch_add_explicit(
				&t->rows[t->judged->first + i].config->counts->recorded, 1,
				memory_order_relaxed);
}
