// SPDX-License-Identifier: Apache-2.0
#include "daemon/sidecar.h"

/*
 * Theory of operation. A sidecar sees one pod: one application's connections, one ring. It is paid
 * for once in each pod, so its defaults are the smallest that still hold what an application of
 * middling load says, and tapes small enough for an emptyDir. Measured: 12 MiB when idle; the
 * ceiling is for bursts and for the queries of those who look. Nothing here is
 * more than a default; a namespace's settings may ask for more.
 */
static const struct {
	enum setting which;
	const char *value;
} rows[] = {
	{SETTING_memory_max, "32MiB"},
	{SETTING_kube_downward, "/etc/podinfo"},
	{SETTING_kube_enabled, "false"}, /* it has no right to ask, and no room for the answers */
	{SETTING_kube_pods, "false"},
	{SETTING_api_socket, ""}, /* the root is read-only; loopback is the pod's own */
	{SETTING_buffer, "2MiB"},
	{SETTING_queue_size, "1MiB"},
	{SETTING_body_max, "64KiB"},
	{SETTING_head_max, "16KiB"},
	{SETTING_flows_max, "1024"},
	{SETTING_store_max, "256MiB"},
	{SETTING_tape_rows, "50000"},
};

int sidecar_defaults(struct chosen *c, struct err *e)
{
	int failed = 0;

	for (size_t i = 0; i < COUNT_OF(rows) && failed == 0; i++) {
		struct span text = span_str(rows[i].value);

		failed = chosen_set(c, rows[i].which, &text, 1, "--sidecar", false, e);
	}
	return failed;
}
