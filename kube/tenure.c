// SPDX-License-Identifier: Apache-2.0
#include "kube/tenure.h"

/*
 * Theory of operation. An address is a pod's from the moment its sandbox is made until that is torn
 * down, which nobody tells. What is told:
 *
 *	startTime ..... startedAt ─────────────── finishedAt ..... DELETED heard of
 *	its kubelet     a container runs: the     the last one     the object is gone,
 *	has it          address is its own        has ended        the address long free
 *
 * Between the dots it may have been somebody else's, too. Times of Kubernetes are cut to the second,
 * so the second in which a container was started or ended is not certain. A pod whose phase is
 * Succeeded or Failed keeps its object, perhaps for days, but not its address. Nor does one that is to
 * be deleted and whose containers have ended: its kubelet tears the sandbox down first, and may take
 * half a minute for the rest. From when its deletion was asked for, nothing is sure.
 */
static uint64_t first_start(const struct kube_pod *pod)
{
	uint64_t first = UINT64_MAX;

	for (size_t i = 0; i < pod->container_count; i++)
		if (pod->containers[i].started_ns)
			first = MIN(first, pod->containers[i].started_ns);
	return first;
}

/* 0: not all have ended, or nobody says when */
static uint64_t last_end(const struct kube_pod *pod)
{
	uint64_t last = 0;

	for (size_t i = 0; i < pod->container_count; i++) {
		const struct kube_container *c = &pod->containers[i];

		if (!c->finished_ns && c->started_ns)
			return 0;
		last = MAX(last, c->finished_ns);
	}
	return last;
}

static void note_end(struct tenure *t, const struct kube_pod *pod, uint64_t now_ns)
{
	uint64_t last = last_end(pod);

	t->sure_until_ns = MIN(t->sure_until_ns, last ? last : now_ns);
	t->until_ns = MIN(t->until_ns, last ? MIN(last + NS_PER_S, now_ns) : now_ns);
	t->until_ns = MAX(t->until_ns, t->sure_until_ns);
}

void tenure_begin(struct tenure *t, const struct kube_pod *pod, uint64_t now_ns)
{
	uint64_t begin = pod->accepted_ns ? pod->accepted_ns : pod->created_ns;

	*t = (struct tenure){.since_ns = begin ? MIN(begin, now_ns) : now_ns,
			     .sure_since_ns = UINT64_MAX,
			     .sure_until_ns = UINT64_MAX,
			     .until_ns = UINT64_MAX};
	tenure_update(t, pod, now_ns);
}

void tenure_update(struct tenure *t, const struct kube_pod *pod, uint64_t now_ns)
{
	uint64_t started = first_start(pod);

	if (pod->address_count && t->sure_since_ns == UINT64_MAX) /* there it is, at the latest */
		t->sure_since_ns =
			MAX(MIN(now_ns, started == UINT64_MAX ? now_ns : started + NS_PER_S),
			    t->since_ns);
	if (pod->has_ended || (pod->deletion_ns && last_end(pod)))
		note_end(t, pod, now_ns);
	else if (pod->deletion_ns)
		t->sure_until_ns = MIN(t->sure_until_ns, now_ns);
}

void tenure_end(struct tenure *t, const struct kube_pod *pod, uint64_t known_ns, uint64_t now_ns)
{
	uint64_t last = last_end(pod);

	if (t->until_ns != UINT64_MAX)
		return;
	t->sure_until_ns = MIN(t->sure_until_ns, last ? last : known_ns);
	t->until_ns = MAX(now_ns, t->sure_until_ns);
}
