// SPDX-License-Identifier: Apache-2.0
/*
 * pod_link.h - connections of libcurl to the loopback of a pod, by port-forward (kube/forward.h)
 *
 * pod_link_socket() is what CURLOPT_OPENSOCKETFUNCTION returns, pod_link_connected() belongs into
 * CURLOPT_PREREQFUNCTION. Thread: one.
 */
#pragma once

#include "cli/source.h"
#include "lib/libcurl.h"

struct pod_link;

/* pod_link_new() - connects to nobody yet. @a: borrowed; how the API server is found. NULL: out of memory. */
struct pod_link *pod_link_new(const struct kube_args *a, const char *name_space, const char *pod,
			      int port) MUST_USE;
void pod_link_close(struct pod_link *l); /* after the handle that uses it; accepts NULL */

/**
 * pod_link_socket() - a connection to the pod, and a socket that libcurl is to connect
 * @at: changed: where to
 * @e:  the API server's or the kubelet's words
 *
 * Return: the socket, libcurl's; CURL_SOCKET_BAD with @e.
 */
curl_socket_t pod_link_socket(struct pod_link *l, struct curl_sockaddr *at, struct err *e);
/* pod_link_connected() - it is connected: from now on it leads to the pod. Return: 0; -1 it cannot. */
int pod_link_connected(struct pod_link *l);
