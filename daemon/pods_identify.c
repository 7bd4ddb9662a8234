// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "daemon/pods_internal.h"
#include "lib/array.h"
#include "lib/log.h"
#include "node/processes.h"

/*
 * Theory of operation. Whose namespace is it? Two tell, both by the namespace's inode:
 *
 *	the runtime   names the file of the sandbox's namespace, or a process in it
 *	/proc         a process's control group names its pod's UID, and its namespace can be asked for; that
 *	              takes the opener, since it takes a privilege
 *
 * The runtime knows names and labels, the control group an UID only; so a pod can be judged by what the
 * runtime says alone. Processes are looked through when a runtime is not there, and now and then in any case: they
 * show namespaces that have no name (a runtime that keeps them by a process alone).
 */

void pods_answer_free(struct pods *p)
{
	cri_answer_free(p->answer);
	free(p->answer_netns);
	p->answer = NULL;
	p->answer_netns = NULL;
}

/* Of those whose namespace has no path, or none that is here. */
static void ask_by_pid(struct pods *p)
{
	struct err e;

	for (size_t i = 0; i < p->answer->count; i++) {
		const struct cri_pod *pod = p->answer->pods[i];

		if (p->answer_netns[i] == 0 && pod->is_ready && pod->pid && !pod->is_host_network &&
		    opener_netns_of(p->opener, &pod->pid, 1, &p->answer_netns[i], &e) < 0)
			return;
	}
}

static void find_namespaces(struct pods *p)
{
	for (size_t i = 0; i < p->answer->count; i++) {
		const struct cri_pod *pod = p->answer->pods[i];
		struct stat st;

		if (*pod->netns_path && !pod->is_host_network && stat(pod->netns_path, &st) == 0)
			p->answer_netns[i] = (uint32_t)st.st_ino;
	}
	ask_by_pid(p);
}

/* Say it once when it begins and once when it is over. */
static void say_runtime(struct pods *p, const struct err *failure)
{
	bool has_failed = failure->code != 0;

	if (has_failed && (!p->was_answered || !p->runtime_failed))
		log_warn("pods",
			 "the container runtime does not answer, names of pods come later: %s",
			 failure->why);
	if (!has_failed && p->was_answered && p->runtime_failed)
		log_info("pods", "the container runtime answers again");
	p->runtime_failed = has_failed;
	p->was_answered = true;
}

void pods_take_answer(struct pods *p)
{
	struct cri_answer *answer = p->cri ? cri_take(p->cri) : NULL;

	if (!answer)
		return;
	pods_answer_free(p);
	p->answer = answer;
	p->answer_netns = calloc(answer->count + 1, sizeof(*p->answer_netns));
	say_runtime(p, &answer->failure);
	if (p->answer_netns)
		find_namespaces(p);
}

/* The newest sandbox that has it: an old one may still be listed under a path that is used again. */
static const struct cri_pod *sandbox_of(const struct pods *p, uint32_t inode)
{
	const struct cri_pod *found = NULL;

	for (size_t i = 0; p->answer_netns && i < p->answer->count; i++) {
		const struct cri_pod *pod = p->answer->pods[i];

		if (p->answer_netns[i] == inode && pod->is_ready &&
		    (!found || pod->created_ns >= found->created_ns))
			found = pod;
	}
	return found;
}

void pods_identify(struct pods *p)
{
	for (struct place *at = p->places.first; at; at = at->next) {
		const struct cri_pod *pod =
			at->state == PLACE_ENDED ? NULL : sandbox_of(p, at->inode);

		if (pod && pod != at->cri) {
			place_take_cri(at, pod);
			p->is_dirty |= at->was_captured;
		}
		pods_judge(p, at, false);
	}
}

/* --- processes --- */

struct process {
	pid_t pid;
	struct cgroup_owner owner;
};

struct scan {
	struct process *items;
	size_t count, room;
};

static void take_process(void *ctx, pid_t pid, const struct cgroup_owner *owner)
{
	struct scan *s = ctx;

	if (array_room((void **)&s->items, &s->room, s->count, sizeof(*s->items)))
		s->items[s->count++] = (struct process){pid, *owner};
}

static void meet_process(struct pods *p, const struct process *process, uint32_t inode)
{
	struct place *place = places_find(&p->places, inode);
	char path[64];

	if (!place) {
		(void)snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)process->pid);
		pods_appear(p, inode, path, process->pid);
		place = places_find(&p->places, inode);
		if (!place)
			return;
		place->pid = process->pid;
	}
	place->was_met = true;
	if (*process->owner.pod_uid && !*place->owner.pod_uid) {
		place->owner = process->owner;
		p->is_dirty |= place->was_captured;
	}
}

static void meet_all(struct pods *p, const struct scan *s)
{
	pid_t *pids = calloc(s->count + 1, sizeof(*pids));
	uint32_t *inodes = calloc(s->count + 1, sizeof(*inodes));
	struct err e;

	for (size_t i = 0; pids && i < s->count; i++)
		pids[i] = s->items[i].pid;
	if (pids && inodes && opener_netns_of(p->opener, pids, s->count, inodes, &e) == 0)
		for (size_t i = 0; i < s->count; i++)
			if (inodes[i])
				meet_process(p, &s->items[i], inodes[i]);
	free(pids);
	free(inodes);
}

void pods_scan(struct pods *p)
{
	struct scan s = {0};
	struct err e;

	for (struct place *at = p->places.first; at; at = at->next)
		at->was_met = false;
	if (processes_each("/proc", take_process, &s, &e) < 0) {
		log_debug("pods", "%s", e.why);
		return;
	}
	meet_all(p, &s);
	for (struct place *at = p->places.first; at; at = at->next)
		if (at->pid && !at->was_met && at->state != PLACE_ENDED)
			pods_end(p, at);
	free(s.items);
}
