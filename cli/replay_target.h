// SPDX-License-Identifier: Apache-2.0
/* replay_target.h - targets in a cluster: svc/NAME and its like, found and reached. Thread: main. */
#pragma once

#include "cli/replay_config.h"
#include "cli/source.h"

enum replay_via { VIA_AUTO, VIA_DIRECT, VIA_FORWARD };
#define VIA_CHOICES "auto direct forward"

struct json;
struct replay_reach; /* ways to targets of a cluster; outlives the replay */

/*
 * replay_reach_add() - @text for --to, or for --map @name; a place among the targets is taken, filled in later
 * @reach: made when there is none yet
 */
int replay_reach_add(struct replay_reach **reach, struct targets *targets, const char *name,
		     const char *text, struct err *e) MUST_USE;

/* replay_ports_fn - the ports that the selected exchanges for target number @target asked */
struct kube_ports;
typedef int replay_ports_fn(void *ctx, uint16_t target, struct kube_ports *out, struct err *e);

/**
 * replay_reach_find() - ask the API server what they are, and fill them in
 * @a:     kubeconfig, context, namespace, --via
 * @ports: asked when there are several to choose from
 * @e:     as kube_backend_find()
 */
int replay_reach_find(struct replay_reach *reach, const struct replay_args *a,
		      struct targets *targets, replay_ports_fn *ports, void *ctx,
		      struct err *e) MUST_USE;
/* replay_reach_summary() - a line for each that was reached by port-forward */
void replay_reach_summary(const struct replay_reach *reach, const struct targets *targets,
			  struct buf *out);
/* replay_reach_json() - the member "forwards" of a report, when there were any */
void replay_reach_json(const struct replay_reach *reach, const struct targets *targets,
		       struct json *j);
void replay_reach_free(struct replay_reach *reach); /* accepts NULL */
AUTO_DEFINE(replay_reach, replay_reach_free)
