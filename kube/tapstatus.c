// SPDX-License-Identifier: Apache-2.0
#include "kube/tapstatus.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/json_field.h"

/*
 * Theory of operation (Kubernetes API conventions: typical status properties; optimistic concurrency).
 *
 *	status:
 *	  observedGeneration, conditions[Accepted], error, applied   what is thought of the spec: the same on every node
 *	  nodes[]: name, pods, exchanges                             one entry a node, written by its own daemon
 *	  pods, exchanges                                            sums over nodes[], for people
 *
 * Many daemons write one object. What they think of a spec follows from the spec alone, so the first to say it says it
 * for all, and the others find nothing to write. An entry is its node's. Who writes takes the status as it was last
 * seen, puts its own part in, adds up and sends it with the resourceVersion that it saw: when another was faster the API
 * server says 409, and it is done again with what that one wrote. So sums always belong to the entries beside them.
 *
 * `applied` keeps the last good spec: a daemon that starts later, or on another node, goes on with the same one. It is
 * there as a text: a merge patch would leave members of the one before in an object. Lists are replaced as a whole.
 */
#define MESSAGE_MAX 800
#define TIME_BYTES  20 /* 2026-11-22T03:00:00 */

static const char *text_of(const json_t *object, const char *key)
{
	const char *s = json_string_value(json_object_get(object, key));

	return s ? s : "";
}

/* ---- what there is ---- */

static json_t *accepted_condition(const json_t *status)
{
	const json_t *list = json_object_get(status, "conditions");
	json_t *c;
	size_t i;

	json_array_foreach(list, i, c) if (strcmp(text_of(c, "type"), "Accepted") == 0) return c;
	return NULL;
}

static const json_t *entry_of(const json_t *status, const char *node)
{
	const json_t *list = json_object_get(status, "nodes"), *entry;
	size_t i;

	json_array_foreach(list, i,
			   entry) if (strcmp(text_of(entry, "name"), node) == 0) return entry;
	return NULL;
}

uint64_t tapstatus_exchanges(const json_t *status, const char *node)
{
	return json_field_u64(entry_of(status, node), "exchanges");
}

json_t *tapstatus_applied(const json_t *status, uint64_t *generation_out)
{
	const json_t *applied = json_object_get(status, "applied");

	*generation_out = json_field_u64(applied, "generation");
	return json_loads(text_of(applied, "spec"), 0, NULL);
}

/* ---- what we would say ---- */

static void say_message(const struct tapreport *r, char *out, size_t bytes)
{
	char fault[MESSAGE_MAX];

	if (!r->fault) {
		(void)snprintf(out, bytes, "applied");
		return;
	}
	fault_text(r->fault, fault, sizeof(fault));
	if (r->applied)
		(void)snprintf(out, bytes, "%s (generation %llu stays in force)", fault,
			       (unsigned long long)r->applied_generation);
	else
		(void)snprintf(out, bytes, "%s (nothing is recorded by it)", fault);
}

static const char *reason_of(const struct tapreport *r)
{
	return r->fault ? r->fault->reason : "Accepted";
}

static bool is_said(const json_t *status, const struct tapreport *r)
{
	const json_t *c = accepted_condition(status);
	char message[MESSAGE_MAX + 64];

	say_message(r, message, sizeof(message));
	return c && json_field_u64(status, "observedGeneration") == r->generation &&
	       strcmp(text_of(c, "status"), r->fault ? "False" : "True") == 0 &&
	       strcmp(text_of(c, "reason"), reason_of(r)) == 0 &&
	       strcmp(text_of(c, "message"), message) == 0;
}

/* A node that has no part in it has no entry. */
static bool has_part(const struct tapreport *r)
{
	return r->pods || r->exchanges;
}

static bool is_counted(const json_t *status, const struct tapreport *r)
{
	const json_t *entry = entry_of(status, r->node);

	if (!entry)
		return !has_part(r);
	return json_field_u64(entry, "pods") == r->pods &&
	       json_field_u64(entry, "exchanges") == r->exchanges;
}

enum tapstatus_need tapstatus_need(const json_t *status, const struct tapreport *r)
{
	if (!is_said(status, r))
		return TAPSTATUS_SPEC;
	return is_counted(status, r) ? TAPSTATUS_FINE : TAPSTATUS_COUNTS;
}

/* ---- the patch ---- */

static json_t *number(uint64_t n)
{
	return json_integer((json_int_t)MIN(n, (uint64_t)INT64_MAX));
}

static json_t *make_condition(const json_t *status, const struct tapreport *r, uint64_t now_ns)
{
	const json_t *before = accepted_condition(status);
	const char *value = r->fault ? "False" : "True";
	char message[MESSAGE_MAX + 64];
	AUTO_BUF time = {0};
	json_t *c = json_object();

	say_message(r, message, sizeof(message));
	clock_format_utc(&time, now_ns);
	time.len = MIN(time.len, (size_t)TIME_BYTES - 1);
	buf_add_char(&time, 'Z');
	if (before && strcmp(text_of(before, "status"), value) == 0 &&
	    *text_of(before, "lastTransitionTime")) {
		buf_clear(&time);
		buf_add_str(&time, text_of(before, "lastTransitionTime"));
	}
	json_object_set_new(c, "type", json_string("Accepted"));
	json_object_set_new(c, "status", json_string(value));
	json_object_set_new(c, "reason", json_string(reason_of(r)));
	json_object_set_new(c, "message", json_string(message));
	json_object_set_new(c, "observedGeneration", number(r->generation));
	json_object_set_new(c, "lastTransitionTime", json_string(buf_cstr(&time)));
	return c;
}

/* Conditions of others stay. */
static json_t *make_conditions(const json_t *status, const struct tapreport *r, uint64_t now_ns)
{
	const json_t *list = json_object_get(status, "conditions"),
		     *ours = accepted_condition(status);
	json_t *all = json_array(), *c;
	size_t i;

	json_array_append_new(all, make_condition(status, r, now_ns));
	json_array_foreach(list, i, c) if (c != ours) json_array_append(all, c);
	return all;
}

static json_t *make_error(const struct fault *f)
{
	json_t *o = f ? json_object() : json_null(); /* null takes one away */

	if (!f)
		return o;
	json_object_set_new(o, "field", json_string(f->field));
	json_object_set_new(o, "line", f->line ? number(f->line) : json_null());
	json_object_set_new(o, "column", f->column ? number(f->column) : json_null());
	json_object_set_new(o, "message", json_string(f->err.why));
	return o;
}

static json_t *make_entry(const struct tapreport *r)
{
	json_t *o = json_object();

	json_object_set_new(o, "name", json_string(r->node));
	json_object_set_new(o, "pods", number(r->pods));
	json_object_set_new(o, "exchanges", number(r->exchanges));
	return o;
}

static json_t *make_applied(const struct tapreport *r)
{
	char *text = json_dumps(r->applied, JSON_COMPACT | JSON_SORT_KEYS);
	json_t *o = text ? json_object() : NULL;

	json_object_set_new(o, "generation", number(r->applied_generation));
	json_object_set_new(o, "spec", json_string(text));
	free(text);
	return o;
}

/* Others' entries as they are, but for those of nodes that are no more; ours anew. */
static json_t *make_entries(const json_t *status, const struct tapreport *r)
{
	const json_t *list = json_object_get(status, "nodes");
	json_t *all = json_array(), *entry;
	size_t i;

	json_array_foreach(list, i, entry)
	{
		const char *name = text_of(entry, "name");
		bool is_gone = r->has_node && !r->has_node(r->ctx, name);

		if (*name && !is_gone && strcmp(name, r->node) != 0 &&
		    json_array_size(all) < TAPSTATUS_NODES_MAX - 1)
			json_array_append(all, entry);
	}
	if (has_part(r))
		json_array_append_new(all, make_entry(r));
	return all;
}

static json_t *sum(const json_t *entries, const char *key)
{
	uint64_t total = 0;
	const json_t *entry;
	size_t i;

	json_array_foreach(entries, i, entry) total +=
		MIN(json_field_u64(entry, key), (uint64_t)INT64_MAX / TAPSTATUS_NODES_MAX);
	return number(total);
}

json_t *tapstatus_patch(const json_t *status, const char *version, const struct tapreport *r,
			uint64_t now_ns)
{
	json_t *patch = json_object(), *meta = json_object(), *to = json_object(),
	       *entries = make_entries(status, r);

	json_object_set_new(meta, "resourceVersion", json_string(version));
	json_object_set_new(to, "observedGeneration", number(r->generation));
	json_object_set_new(to, "conditions", make_conditions(status, r, now_ns));
	json_object_set_new(to, "error", make_error(r->fault));
	if (r->applied && !r->fault)
		json_object_set_new(to, "applied", make_applied(r));
	json_object_set_new(to, "pods", sum(entries, "pods"));
	json_object_set_new(to, "exchanges", sum(entries, "exchanges"));
	json_object_set_new(to, "nodes", entries);
	json_object_set_new(patch, "metadata", meta);
	if (json_object_set_new(patch, "status", to) < 0) {
		json_decref(patch);
		return NULL;
	}
	return patch;
}
