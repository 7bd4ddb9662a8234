// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdlib.h>

#include "record/internal.h"

/*
 * Theory of operation. Settings that change while it runs reach a thread through a letter box: an
 * atomic pointer to an immutable parcel. Main puts a parcel in and frees the one that was still
 * there; the thread takes it out at its next tick, and from then on it is the thread's alone.
 */
static void free_list(char **list)
{
	for (size_t i = 0; list && list[i]; i++)
		free(list[i]);
	free(list);
}

static void free_rules(struct redaction_rules *rules)
{
	if (!rules)
		return;
	free_list(rules->headers);
	free_list(rules->params);
	free(rules);
}

static int copy_list(const char *const *from, char ***out)
{
	size_t n = 0;
	char **to;

	while (from && from[n])
		n++;
	*out = to = calloc(n + 1, sizeof(*to));
	for (size_t i = 0; to && i < n; i++)
		if (!(to[i] = strdup(from[i])))
			return -ENOMEM;
	return to ? 0 : -ENOMEM;
}

static int make_rules(const struct wire_config *w, struct redaction_rules **out)
{
	struct redaction_rules *rules = calloc(1, sizeof(*rules));

	if (!rules)
		return -ENOMEM;
	rules->is_redacting = w->is_redacting;
	if (copy_list(w->redact_headers, &rules->headers) < 0 ||
	    copy_list(w->redact_params, &rules->params) < 0) {
		free_rules(rules);
		return -ENOMEM;
	}
	*out = rules;
	return 0;
}

int record_change(struct record *r, const struct record_config *config,
		  struct identities *identities, struct err *e)
{
	struct recorder_change *change = calloc(1, sizeof(*change));
	struct redaction_rules *rules = NULL;
	struct span text = span_str(config->record_filter);
	int failed;

	if (!change) {
		identities_free(identities);
		return err_set(e, -ENOMEM, "settings: out of memory");
	}
	*change = (struct recorder_change){.store = config->store,
					   .commit_interval_ns = config->commit_interval_ns,
					   .identities = identities};
	if (text.len && filter_parse(text, &change->filter, e) < 0) {
		recorder_change_free(change);
		return err_wrap(e, "record");
	}
	if (!sample_keeps_all(&config->sample) &&
	    (failed = sampler_new(&config->sample, &change->sampler, e)) < 0) {
		recorder_change_free(change);
		return failed;
	}
	if (make_rules(&config->wire, &rules) < 0) {
		recorder_change_free(change);
		return err_set(e, -ENOMEM, "settings: out of memory");
	}
	free_rules(atomic_exchange(&r->rules_box, rules));
	recorder_change_free(atomic_exchange(&r->change_box, change));
	record_ring(r->work_fd);
	return 0;
}

void record_has_held(struct record *r, bool has_held)
{
	atomic_store_explicit(&r->has_held, has_held, memory_order_relaxed);
}

void record_residents(struct record *r, struct residents *all)
{
	residents_free(atomic_exchange(&r->residents_box, all));
}

void record_apply(struct record *r)
{
	struct redaction_rules *rules = atomic_exchange(&r->rules_box, NULL), *none = NULL;

	if (!rules)
		return;
	if (wire_set_redaction(r->wire, rules->is_redacting, (const char *const *)rules->headers,
			       (const char *const *)rules->params) < 0 &&
	    atomic_compare_exchange_strong(&r->rules_box, &none, rules))
		return; /* out of memory: again at the next tick, unless newer ones came */
	free_rules(rules);
}

void record_census(struct record *r, const struct census *c)
{
	census_free(atomic_exchange(&r->census_box, c));
	record_ring(r->work_fd);
}

int record_tapconfigs(struct record *r, struct tapconfig *const *all, size_t count)
{
	struct tapconfigs *t = tapconfigs_new(all, count, r->config.wire.redact_key);

	if (!t)
		return -ENOMEM;
	tapconfigs_free(atomic_exchange(&r->tapconfigs_box, t));
	record_ring(r->work_fd);
	return 0;
}

void record_change_fini(struct record *r)
{
	census_free(atomic_load(&r->census_box));
	tapconfigs_free(atomic_load(&r->tapconfigs_box));
	free_rules(atomic_load(&r->rules_box));
	recorder_change_free(atomic_load(&r->change_box));
	residents_free(atomic_load(&r->residents_box));
}
