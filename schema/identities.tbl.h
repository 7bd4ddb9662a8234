// SPDX-License-Identifier: Apache-2.0
/*
 * Where the name of an end of an exchange came from, and how sure it is.
 *
 * SOURCE(NAME, "name", "sentence")
 * CERTAINTY(NAME, "name", "sentence")
 *
 * Numbers are on tapes: append only.
 */
// clang-format off
#ifdef SOURCE
SOURCE(NONE,      "none",      "nobody was known there, or an older tapeloop recorded it and did not say")
SOURCE(FILE,      "file",      "the file of identities")
SOURCE(INTERFACE, "interface", "the address was found on an interface inside a named network namespace")
SOURCE(API,       "api",       "the API server of Kubernetes")
SOURCE(RUNTIME,   "runtime",   "the node's container runtime, over CRI")
SOURCE(CGROUP,    "cgroup",    "the control group of a process in the network namespace")
SOURCE(DOWNWARD,  "downward",  "the Downward API: a sidecar was told who its pod is")
SOURCE(SOCKET,    "socket",    "the process of this host that listens on the port")
#endif
#ifdef CERTAINTY
CERTAINTY(UNKNOWN,   "unknown",   "nothing is known, or an older tapeloop did not say")
CERTAINTY(CERTAIN,   "certain",   "the address was this one's and nobody else's at that moment")
CERTAINTY(INFERRED,  "inferred",  "follows from what is usual: the port of a container in the host's network, a name known a little before or after")
CERTAINTY(AMBIGUOUS, "ambiguous", "several may have been meant; no name is given that is not common to all")
#endif
// clang-format on
