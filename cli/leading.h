// SPDX-License-Identifier: Apache-2.0
/* leading.h - options before the subcommand: tapeloop --kube -n shop ls, kubectl tapeloop -n shop ls */
#pragma once

#include "lib/base.h"

#define LEADING_PLUGIN "kubectl-tapeloop" /* our other name: kubectl finds plugins by theirs */

/* leading_is_plugin() - are we called by that name? */
bool leading_is_plugin(const char *argv0);
/**
 * leading_move() - put them behind the subcommand, where its table of options reads them
 * @is_plugin: --kube goes without saying, and -n is a namespace wherever it stands, as kubectl has it
 *
 * Return: owned by the caller, its strings borrowed; *argc_out of them, and NULL. NULL: no memory.
 */
const char **leading_move(int argc, const char *const *argv, bool is_plugin,
			  int *argc_out) MUST_USE;
