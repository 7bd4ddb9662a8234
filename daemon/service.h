// SPDX-License-Identifier: Apache-2.0
/*
 * service.h - the running daemon: handles, pipeline and API from start to end
 *
 * Thread: main, except where a comment says otherwise.
 */
#pragma once

#include "daemon/settings.h"

struct service;

/**
 * service_start() - open the handles, drop privileges, open the store, capture and answer
 * @chosen: moves in on success
 * @e:      what could not be done, naming it; nothing is left behind then
 */
int service_start(struct chosen *chosen, struct service **s_out, struct err *e) MUST_USE;
/*
 * service_stop() - end the capture, flush, commit, remove the socket, free. Return: 0, or the
 * store's last error: something was lost, and counted.
 */
int service_stop(struct service *s, struct err *e);
/*
 * service_change() - settings read anew: what is live applies, what is not is said in the log.
 * @fresh: its live values are taken; the caller frees it. Return: 0, or why all stays as it was.
 */
int service_change(struct service *s, struct chosen *fresh, struct err *e) MUST_USE;
/* service_tick() - about once a second: say in the log what is being lost */
void service_tick(struct service *s);
/* service_is_alive() - the capture thread has moved since the last call */
bool service_is_alive(struct service *s);
/* service_is_useless() - every interface is gone */
bool service_is_useless(struct service *s);
/* service_status() - one line for the service manager */
void service_status(struct service *s, struct buf *out);
