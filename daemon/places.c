// SPDX-License-Identifier: Apache-2.0
#include "daemon/places.h"

#include <stdio.h>
#include <stdlib.h>

/*
 * Theory of operation. A list: a node has a few hundred namespaces, and each event walks it once. A
 * namespace is known by its inode while it lives; afterwards the kernel gives the number to another one, so
 * a place that has ended stays in the list beside its successor, until no exchange from there can be on its way.
 *
 * What is known of it, the surest first: the runtime's word, the control group of a process in it, its name.
 */
void places_fini(struct places *p)
{
	struct place *next;

	for (struct place *at = p->first; at; at = next) {
		next = at->next;
		cri_pod_unref(at->cri);
		free(at);
	}
	*p = (struct places){0};
}

struct place *places_add(struct places *p, uint32_t inode, const char *path, uint64_t mono_ns,
			 uint64_t wall_ns)
{
	struct place *made = calloc(1, sizeof(*made));

	if (!made)
		return NULL;
	made->inode = inode;
	made->since_ns = mono_ns;
	made->from_ns = wall_ns;
	(void)snprintf(made->path, sizeof(made->path), "%s", path);
	made->next = p->first;
	p->first = made;
	return made;
}

struct place *places_find(const struct places *p, uint32_t inode)
{
	for (struct place *at = p->first; at; at = at->next)
		if (at->inode == inode && at->state != PLACE_ENDED)
			return at;
	return NULL;
}

size_t places_forget(struct places *p, uint64_t before_ns)
{
	size_t n = 0;

	for (struct place **link = &p->first; *link;) {
		struct place *at = *link;

		if (at->state != PLACE_ENDED || at->is_open || at->until_ns >= before_ns) {
			link = &at->next;
			continue;
		}
		*link = at->next;
		cri_pod_unref(at->cri);
		free(at);
		n++;
	}
	return n;
}

size_t places_count(const struct places *p, enum place_state state)
{
	size_t n = 0;

	for (const struct place *at = p->first; at; at = at->next)
		n += at->state == state;
	return n;
}

uint16_t places_take_share(struct places *p)
{
	for (unsigned i = 1; i < WIRE_SHARES; i++) {
		if (p->shares[i / 64] & UINT64_C(1) << i % 64)
			continue;
		p->shares[i / 64] |= UINT64_C(1) << i % 64;
		return (uint16_t)i;
	}
	return 0;
}

void places_give_share(struct places *p, uint16_t share)
{
	if (share)
		p->shares[share / 64] &= ~(UINT64_C(1) << share % 64);
}

static struct span name_of(const struct place *p)
{
	const char *slash = strrchr(p->path, '/');

	return p->pid ? (struct span){0} : span_str(slash ? slash + 1 : p->path);
}

struct identity place_who(const struct place *p, struct span node)
{
	struct identity who = {.certainty = CERTAINTY_CERTAIN};

	if (p->cri) {
		who = p->cri->who;
	} else if (*p->owner.pod_uid) {
		who.pod_uid = span_str(p->owner.pod_uid);
		who.source = IDENTITY_CGROUP;
	} else {
		who.pod = name_of(p);
		who.source = IDENTITY_INTERFACE;
	}
	who.node = node;
	return who;
}

bool place_is_known(const struct place *p)
{
	return p->cri;
}

struct residents *places_residents(const struct places *p, struct span node)
{
	struct residents *made;
	struct resident *rows;
	size_t n = 0, count = 0;

	for (const struct place *at = p->first; at; at = at->next)
		count += at->was_captured;
	rows = calloc(count + 1, sizeof(*rows));
	if (!rows)
		return NULL;
	for (const struct place *at = p->first; at; at = at->next)
		if (at->was_captured)
			rows[n++] = (struct resident){
				.netns = at->inode,
				.from_ns = at->from_ns,
				.until_ns = at->until_ns,
				.addresses = at->addresses,
				.address_count = at->address_count,
				.who = place_who(at, node),
			};
	made = residents_new(rows, n);
	free(rows);
	return made;
}

void place_take_cri(struct place *p, const struct cri_pod *pod)
{
	if (p->cri == pod)
		return;
	cri_pod_unref(p->cri);
	p->cri = cri_pod_ref(pod);
	if (pod->address_count == 0)
		return;
	p->address_count = pod->address_count;
	memcpy(p->addresses, pod->addresses, pod->address_count * sizeof(pod->addresses[0]));
}
