// SPDX-License-Identifier: Apache-2.0
/* call.h - one request of a kube/client.h, in libcurl's hands. Thread: the client's. */
#pragma once

#include "kube/client.h"
#include "lib/libcurl.h"
#include "lib/list.h"

struct kube_config;
struct kube_credential;

struct kube_client {
	struct libcurl lib;
	CURLM *multi;
	struct kube_config *config;
	struct kube_credential *credential;
	struct list calls;
	_Atomic bool is_stopped;
};

struct kube_call {
	struct list link; /* kube_client::calls */
	struct kube_client *client;
	CURL *curl;
	struct curl_slist *headers, *connect_to;
	char *method, *path, *url, *body;
	size_t answer_max;
	kube_data_fn *data;
	void (*header)(void *ctx, struct span line);
	kube_done_fn *done;
	void *ctx;
	struct kube_answer answer;
	struct buf problem; /* the body of what is no 2xx */
	int data_result;    /* what ended it on our side */
	bool was_retried, has_data, is_connection;
	char why[CURL_ERROR_SIZE];
};

/* kube_call_new() - ready to be given to the multi handle; not in any list. NULL with @e set. */
struct kube_call *kube_call_new(struct kube_client *c, const struct kube_request *q,
				kube_data_fn *data, struct err *e) MUST_USE;
void kube_call_free(struct kube_call *call); /* accepts NULL */
/* kube_call_show_credential() - what is valid now, from here on */
bool kube_call_show_credential(struct kube_call *call);
/* kube_call_result() - how it ended, by libcurl and by the status */
int kube_call_result(const struct kube_call *call, CURLcode code, struct err *e);
