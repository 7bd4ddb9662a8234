// SPDX-License-Identifier: Apache-2.0
#include "cli/job.h"

#include <errno.h>
#include <stdio.h>

#include "cli/options.h"
#include "lib/id.h"
#include "lib/json.h"

/*
 * Theory of operation
 *
 * The pods run the very command that was typed, so its options are written again from their table,
 * but for those that are about the Job, and with times as they were at the moment of typing: each pod
 * must select the same. Several pods make an Indexed Job: the pod's index is its shard. The index is
 * taken from the annotation that carries it (batch.kubernetes.io/job-completion-index), so that the
 * argument can name it.
 *
 * Nothing is tried twice: a request that is sent again may do its work again. Of several pods none
 * may fail for what answers say, or the others would be stopped: --exit-zero.
 *
 * Strings are written as JSON's, which are YAML's.
 */

#define INDEX_ENV "JOB_COMPLETION_INDEX"

static const char *const not_for_pods[] = {
	"as-job", "job-shards", "job-image", "job-account", "job-claim", "shard", "context",
	"kubeconfig", "since", "until",
};

static bool is_for_pods(const char *name)
{
	for (size_t i = 0; i < COUNT_OF(not_for_pods); i++)
		if (strcmp(name, not_for_pods[i]) == 0)
			return false;
	return true;
}

static int check(const struct job *job, struct err *e)
{
	const char *store = job->source->store;
	size_t n = strlen(JOB_TAPES "/");

	if (job->shards == 0 || job->shards > JOB_SHARDS_MAX)
		return err_set(e, -EINVAL, "job-shards: expected 1 to %d", JOB_SHARDS_MAX);
	if (store && (!job->claim || strncmp(store, JOB_TAPES "/", n) != 0))
		return err_set(e, -EINVAL,
			       "store %s: a pod has it only as %s/FILE, on the volume that --job-claim "
			       "names",
			       store, JOB_TAPES);
	if (job->source->api && strncmp(job->source->api, "unix:", 5) == 0)
		return err_set(e, -EINVAL, "api %s: a pod cannot reach it", job->source->api);
	return 0;
}

static void add_text(struct buf *out, const char *text)
{
	struct json j = json_to(out);

	json_text(&j, span_str(text));
}

static void add_arg(void *ctx, const char *arg)
{
	struct buf *out = ctx;

	buf_add_str(out, "            - ");
	add_text(out, arg);
	buf_add_char(out, '\n');
}

/* "$(NAME)" in an argument is taken for a variable by the kubelet: "$$(" is how it is written */
static void add_operand(struct buf *out, const char *text)
{
	AUTO_BUF escaped = {0};

	for (; *text; text++) {
		if (text[0] == '$' && text[1] == '(')
			buf_add_char(&escaped, '$');
		buf_add_char(&escaped, *text);
	}
	add_arg(out, buf_cstr(&escaped));
}

static void add_option(void *ctx, const char *name, const char *text)
{
	if (is_for_pods(name))
		add_operand(ctx, text);
}

static void add_time(struct buf *out, const char *option, uint64_t ns)
{
	AUTO_BUF text = {0};

	buf_add_fmt(&text, "--%s=", option);
	clock_format_utc(&text, ns);
	add_arg(out, buf_cstr(&text));
}

static void add_args(const struct job *job, const struct cli *cli, struct buf *out)
{
	char shard[64];

	buf_add_str(out, "          args:\n");
	add_arg(out, cli->command->name);
	options_write(cli->command, cli->args, add_option, out);
	if (job->source->store == NULL && !job->source->api && !job->source->kube.is_on)
		add_arg(out, "--kube");
	if (job->query->since_ns)
		add_time(out, "since", job->query->since_ns);
	/* what is recorded from now on is not part of it, whenever the pods begin */
	add_time(out, "until", job->query->until_ns ? job->query->until_ns : cli->now_ns);
	if (job->shards > 1) {
		(void)snprintf(shard, sizeof(shard), "--shard=$(" INDEX_ENV ")/%u",
			       (unsigned)job->shards);
		add_arg(out, shard);
		add_arg(out, "--exit-zero");
	}
	add_arg(out, "--");
	for (int i = 0; i < cli->operand_count; i++)
		add_operand(out, cli->operands[i]);
}

static void add_head(const struct job *job, const struct cli *cli, struct buf *out)
{
	char run[ID_TEXT_LEN + 1];

	(void)id_format(cli->now_ns, run);
	for (char *c = run; *c; c++)
		*c = (char)(*c >= 'A' && *c <= 'Z' ? *c + 32 : *c);
	buf_add_fmt(out,
		    "apiVersion: batch/v1\n"
		    "kind: Job\n"
		    "metadata:\n"
		    "  name: tapeloop-replay-%s\n"
		    "  labels: {app.kubernetes.io/name: tapeloop, app.kubernetes.io/component: replay}\n"
		    "spec:\n",
		    run);
	if (job->shards > 1)
		buf_add_fmt(out,
			    "  completionMode: Indexed # each pod one share: Kubernetes 1.24 or later\n"
			    "  completions: %u\n"
			    "  parallelism: %u\n",
			    (unsigned)job->shards, (unsigned)job->shards);
	buf_add_str(out, "  backoffLimit: 0 # a request that is sent again may do its work again\n"
			 "  template:\n"
			 "    metadata:\n"
			 "      labels: {app.kubernetes.io/name: tapeloop, app.kubernetes.io/component: replay}\n"
			 "      annotations: {tapeloop.dev/record: \"false\"}\n"
			 "    spec:\n"
			 "      restartPolicy: Never\n"
			 "      serviceAccountName: ");
	add_text(out, job->account);
	buf_add_str(out, "\n"
			 "      securityContext: {runAsNonRoot: true, runAsUser: 65532, seccompProfile: {type: RuntimeDefault}}\n"
			 "      containers:\n"
			 "        - name: replay\n"
			 "          image: ");
	add_text(out, job->image);
	buf_add_str(out, "\n          command: [tapeloop]\n");
}

static void add_end(const struct job *job, struct buf *out)
{
	if (job->shards > 1)
		buf_add_str(out, "          env:\n"
				 "            - name: " INDEX_ENV "\n"
				 "              valueFrom: {fieldRef: {fieldPath: \"metadata.annotations"
				 "['batch.kubernetes.io/job-completion-index']\"}}\n");
	buf_add_str(out, "          resources: {requests: {cpu: 100m, memory: 64Mi}, limits: {memory: 512Mi}}\n"
			 "          securityContext: {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, "
			 "capabilities: {drop: [ALL]}}\n");
	if (!job->claim)
		return;
	buf_add_str(out, "          volumeMounts: [{name: tapes, mountPath: " JOB_TAPES ", readOnly: true}]\n"
			 "      volumes:\n"
			 "        - name: tapes\n"
			 "          persistentVolumeClaim: {readOnly: true, claimName: ");
	add_text(out, job->claim);
	buf_add_str(out, "}\n");
}

int job_write(const struct job *job, const struct cli *cli, struct buf *out, struct err *e)
{
	int r = check(job, e);

	if (r < 0)
		return r;
	add_head(job, cli, out);
	add_args(job, cli, out);
	add_end(job, out);
	return out->is_failed ? err_set(e, -ENOMEM, "out of memory") : 0;
}
