// SPDX-License-Identifier: Apache-2.0
/* watch.h - notice that a volume of Kubernetes was written anew, as SIGHUP would say it */
#pragma once

#include "lib/base.h"

struct watch;

/**
 * watch_new() - watch the directories that hold these files
 * @paths: ends with NULL; "" is none
 *
 * Return: NULL when no memory or no inotify: SIGHUP still works.
 */
struct watch *watch_new(const char *const *paths) MUST_USE;
void watch_free(struct watch *w);    /* accepts NULL */
int watch_fd(const struct watch *w); /* to poll for reading; -1 for NULL */
/* watch_take() - what was to read is read. Return: a volume was written anew. */
bool watch_take(struct watch *w);
