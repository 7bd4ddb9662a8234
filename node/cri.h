// SPDX-License-Identifier: Apache-2.0
/*
 * cri.h - the sandboxes of a node, as its container runtime knows them
 *
 * A thread of its own asks, because a runtime may take its time; who asked takes the answer out of a box.
 */
#pragma once

#include "node/cri_message.h"

struct cri;

/* What the runtime said; immutable. */
struct cri_answer {
	const struct cri_pod **pods;
	size_t count;
	struct err failure; /* code 0: it answered; else the pods are those of its last answer */
};
void cri_answer_free(struct cri_answer *a); /* accepts NULL */

/* cri_has_socket() - is there a runtime's socket? @socket: as cri_start(); "" there is not */
bool cri_has_socket(const char *socket);
/**
 * cri_start() - begin to ask
 * @socket: of the runtime; "auto": the first of the usual ones that there is
 *
 * Return: 0; -ENOMEM, or no thread. That there is no such socket is an answer, not an error.
 */
int cri_start(const char *socket, struct cri **c_out, struct err *e) MUST_USE;
/* waits for the answer under way, some seconds at most; accepts NULL */
void cri_stop(struct cri *c);

/* Thread: one, not the asking one. */
void cri_ask(struct cri *c);		    /* there is something new to be known */
int cri_fd(const struct cri *c);	    /* readable when an answer lies in the box */
struct cri_answer *cri_take(struct cri *c); /* the newest, the caller's; NULL when there is none */
