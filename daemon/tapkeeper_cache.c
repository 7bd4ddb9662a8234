// SPDX-License-Identifier: Apache-2.0
#include <errno.h>

#include "daemon/tapcache.h"
#include "daemon/tapkeeper_internal.h"
#include "lib/log.h"

/*
 * Theory of operation. What is in force is written beside the tapes whenever it changes, and read before anybody is
 * asked: so a node that starts while the API server is away masks and leaves out what it did before. Objects have the
 * form in which the API server gives them, with the version in force as their spec, and are taken as if it had told of
 * them. What it then tells replaces them; what it does not tell of any more goes with its first list.
 */
static json_t *object_of(const struct tapentry *e)
{
	json_t *o = json_object(), *meta = json_object();

	json_object_set_new(meta, "namespace", json_string(e->name_space));
	json_object_set_new(meta, "name", json_string(e->name));
	json_object_set_new(meta, "uid", json_string(e->uid));
	json_object_set_new(meta, "creationTimestamp", json_string(e->created));
	json_object_set_new(
		meta, "generation",
		json_integer((json_int_t)(e->good_spec ? e->good_generation : e->generation)));
	json_object_set_new(o, "metadata", meta);
	json_object_set(o, "spec", e->good_spec ? e->good_spec : e->spec);
	return o;
}

void tapkeeper_remember(struct tapkeeper *k)
{
	json_t *list = json_array();
	struct err why;

	if (!k->config.dir || !list) {
		json_decref(list);
		return;
	}
	for (size_t i = 0; i < k->count; i++)
		json_array_append_new(list, object_of(k->entries[i]));
	if (json_array_size(list) == 0 && !k->remembered) {
		json_decref(list);
		return;
	}
	if (!json_equal(list, k->remembered) && tapcache_write(k->config.dir, list, &why) < 0)
		log_warn("kube", "TapConfigs are not remembered for the next start: %s", why.why);
	json_decref(k->remembered);
	k->remembered = list;
}

void tapkeeper_recall(struct tapkeeper *k)
{
	const json_t *object;
	json_t *list = NULL;
	struct err why;
	size_t i;
	int failed = k->config.dir ? tapcache_read(k->config.dir, &list, &why) : -ENOENT;

	if (failed < 0) {
		if (failed != -ENOENT)
			log_warn("kube", "the TapConfigs of the last run are not known: %s",
				 why.why);
		return;
	}
	k->is_recalling = true;
	json_array_foreach(list, i, object) tapkeeper_take(k, object);
	k->is_recalling = false;
	k->remembered = list;
	if (k->count)
		log_info("kube", "%zu TapConfigs of the last run apply until the API server tells",
			 k->count);
}
