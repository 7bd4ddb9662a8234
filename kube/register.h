// SPDX-License-Identifier: Apache-2.0
/*
 * register.h - pods, services and owners as the API server tells of them, for kube/census.h
 *
 * Thread: one (pods).
 */
#pragma once

#include "kube/census.h"
#include "kube/service.h"
#include "kube/slice.h"

struct register_config {
	uint64_t remember_ns; /* pods that are gone are known for so long ... */
	size_t remember_max;  /* ... and no more than so many of them */
};

struct kube_register;

struct kube_register *register_new(const struct register_config *config) MUST_USE;
void register_free(struct kube_register *r); /* accepts NULL */

/* What there is. Each takes its object (register_pod(): the reference), also when it fails: -ENOMEM.
 * @now_ns: when it was heard of [wall ns] */
int register_pod(struct kube_register *r, const struct kube_pod *pod_taken,
		 uint64_t now_ns) MUST_USE;
int register_service(struct kube_register *r, struct kube_service *service_taken) MUST_USE;
int register_slice(struct kube_register *r, struct kube_slice *slice_taken) MUST_USE;
/* @uid belongs to something that this owner controls: a Job, and its CronJob */
int register_owner(struct kube_register *r, struct span uid, struct span kind,
		   struct span name) MUST_USE;

/* What is no more, by its UID. */
/* @known_ns: when it was certainly there; @now_ns: when it was heard of [both wall ns] */
void register_pod_gone(struct kube_register *r, struct span uid, uint64_t known_ns,
		       uint64_t now_ns);
void register_service_gone(struct kube_register *r, struct span uid);
void register_slice_gone(struct kube_register *r, struct span uid);
void register_owner_gone(struct kube_register *r, struct span uid);

/* A list that is whole: between begin and end comes all there is; the rest is gone. */
enum register_list {
	REGISTER_PODS,
	REGISTER_SERVICES,
	REGISTER_OWNERS,
	REGISTER_SLICES,
	REGISTER_LIST_COUNT
};
void register_list_begin(struct kube_register *r, enum register_list which);
/* @known_ns: when that was last certain of what is gone [wall ns] */
void register_list_end(struct kube_register *r, enum register_list which, uint64_t known_ns,
		       uint64_t now_ns);

/* register_is_changed() - since the last census, or because something was remembered long enough */
bool register_is_changed(const struct kube_register *r);
/**
 * register_census() - what is known now
 * @lost_ns: since when the API server has been away; 0: it is there. What is asked about a later
 *           time is inferred from before.
 *
 * Return: owned by the caller, free with census_free(); NULL without memory.
 */
const struct census *register_census(struct kube_register *r, uint64_t lost_ns, uint64_t now_ns);
size_t register_gone_count(const struct kube_register *r);
