// SPDX-License-Identifier: Apache-2.0
/*
 * What the webhook decides about a pod, and why.
 *
 * INJECTION(NAME, "name", "sentence")   the name is the label `reason` of /metrics
 */
// clang-format off
INJECTION(INJECTED,     "injected",     "the sidecar is added")
INJECTION(NOT_A_POD,    "not_a_pod",    "something else than a new pod: the configuration sends too much")
INJECTION(OPTED_OUT,    "opted_out",    "the pod has the annotation tapeloop.dev/inject: disabled")
INJECTION(ALREADY,      "already",      "the pod has the sidecar")
INJECTION(OURS,         "ours",         "a pod of tapeloop itself")
INJECTION(HOST_NETWORK, "host_network", "the pod is in its node's network namespace: a sidecar would record the node")
INJECTION(WOULD_END,    "would_not_end", "the pod is to end, and a sidecar that is no native one would keep it")
INJECTION(OTHER_SYSTEM, "other_system", "the pod is not for Linux")
// clang-format on
