// SPDX-License-Identifier: Apache-2.0
#include "cli/job.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/options.h"
#include "kube/config.h"
#include "kube/reference.h"
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
 * A target in the cluster without a namespace means another one inside than out here: it gets the one it has here.
 * Who asks neither daemons nor the API server gets no token.
 *
 * Strings are written as JSON's, which are YAML's.
 */

#define INDEX_ENV "JOB_COMPLETION_INDEX"

static const char *const not_for_pods[] = {
	"as-job", "job-shards", "job-image",  "job-account", "job-claim",
	"shard",  "context",	"kubeconfig", "since",	     "until",
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
	struct kube_reference ref;

	if (job->shards == 0 || job->shards > JOB_SHARDS_MAX)
		return err_set(e, -EINVAL, "job-shards: expected 1 to %d", JOB_SHARDS_MAX);
	if (store && (!job->claim || strncmp(store, JOB_TAPES "/", n) != 0))
		return err_set(
			e, -EINVAL,
			"store %s: a pod has it only as %s/FILE, on the volume that --job-claim "
			"names",
			store, JOB_TAPES);
	if (job->to && kube_reference_is(job->to) && kube_reference_parse(job->to, &ref, e) < 0)
		return -EINVAL;
	for (size_t i = 0; i < job->maps->count; i++) {
		const char *eq = strchr(job->maps->items[i], '=');

		if (eq && kube_reference_is(eq + 1) && kube_reference_parse(eq + 1, &ref, e) < 0)
			return -EINVAL;
	}
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

/* Where the options of the pods go, and the namespace of a target that has none. */
struct writing {
	struct buf *out;
	const char *name_space; /* NULL: not known, or given */
};

/* @option: "--to=svc/cart:80", "--map=cart=svc/cart" */
static void add_target(struct writing *w, const char *option, size_t value)
{
	const char *eq = strchr(option + value, '=');
	const char *target = option + value, *port;
	struct kube_reference ref;
	AUTO_BUF text = {0};

	if (eq)
		target = eq + 1;
	if (!w->name_space || !kube_reference_is(target) ||
	    kube_reference_parse(target, &ref, NULL) < 0 || *ref.name_space) {
		add_operand(w->out, option);
		return;
	}
	port = strchrnul(target, ':');
	buf_add(&text, option, (size_t)(port - option));
	buf_add_fmt(&text, ".%s%s", w->name_space, port);
	add_operand(w->out, buf_cstr(&text));
}

static void add_option(void *ctx, const char *name, const char *text)
{
	struct writing *w = ctx;

	if (strcmp(name, "to") == 0 || strcmp(name, "map") == 0)
		add_target(w, text, strlen("--=") + strlen(name));
	else if (is_for_pods(name))
		add_operand(w->out, text);
}

static bool is_in_cluster(const struct job *job)
{
	bool is = job->to && kube_reference_is(job->to);

	for (size_t i = 0; i < job->maps->count; i++) {
		const char *eq = strchr(job->maps->items[i], '=');

		is |= eq && kube_reference_is(eq + 1);
	}
	return is;
}

/* Return: of the context here, owned; NULL when there is none, or -n says it inside, too */
static char *context_namespace(const struct job *job)
{
	AUTO(kube_config) config = NULL;

	if (!is_in_cluster(job) || job->source->name_space ||
	    kube_config_load(job->source->kube.kubeconfig, job->source->kube.context, &config,
			     NULL) < 0)
		return NULL;
	return TAKE(config->name_space);
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
	char *name_space = context_namespace(job);
	struct writing w = {.out = out, .name_space = name_space};
	char shard[64];

	buf_add_str(out, "          args:\n");
	add_arg(out, cli->command->name);
	options_write(cli->command, cli->args, add_option, &w);
	free(name_space);
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

/* who it is that asks daemons, or the API server for a target */
static bool needs_token(const struct job *job)
{
	return (!job->source->store && !job->source->api) || is_in_cluster(job);
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
		    "  labels: {app.kubernetes.io/name: tapeloop, app.kubernetes.io/component: "
		    "replay}\n"
		    "spec:\n",
		    run);
	if (job->shards > 1)
		buf_add_fmt(
			out,
			"  completionMode: Indexed # each pod one share: Kubernetes 1.24 or later\n"
			"  completions: %u\n"
			"  parallelism: %u\n",
			(unsigned)job->shards, (unsigned)job->shards);
	buf_add_str(out, "  backoffLimit: 0 # a request that is sent again may do its work again\n"
			 "  template:\n"
			 "    metadata:\n"
			 "      labels: {app.kubernetes.io/name: tapeloop, "
			 "app.kubernetes.io/component: replay}\n"
			 "      annotations: {tapeloop.dev/record: \"false\", tapeloop.dev/inject: "
			 "disabled}\n"
			 "    spec:\n"
			 "      restartPolicy: Never\n");
	if (needs_token(job)) {
		buf_add_str(out, "      serviceAccountName: ");
		add_text(out, job->account);
		buf_add_char(out, '\n');
	} else {
		buf_add_str(out, "      automountServiceAccountToken: false\n");
	}
	buf_add_str(out, "      securityContext: {runAsNonRoot: true, runAsUser: 65532, "
			 "seccompProfile: {type: RuntimeDefault}}\n"
			 "      containers:\n"
			 "        - name: replay\n"
			 "          image: ");
	add_text(out, job->image);
	buf_add_str(out, "\n          command: [tapeloop]\n");
}

static void add_end(const struct job *job, struct buf *out)
{
	if (job->shards > 1)
		buf_add_str(out,
			    "          env:\n"
			    "            - name: " INDEX_ENV "\n"
			    "              valueFrom: {fieldRef: {fieldPath: \"metadata.annotations"
			    "['batch.kubernetes.io/job-completion-index']\"}}\n");
	buf_add_str(out, "          resources: {requests: {cpu: 100m, memory: 64Mi}, limits: "
			 "{memory: 512Mi}}\n"
			 "          securityContext: {allowPrivilegeEscalation: false, "
			 "readOnlyRootFilesystem: true, "
			 "capabilities: {drop: [ALL]}}\n"
			 "          terminationMessagePolicy: FallbackToLogsOnError # why it "
			 "failed is in the pod's status, too\n");
	if (!job->claim)
		return;
	buf_add_str(out, "          volumeMounts: [{name: tapes, mountPath: " JOB_TAPES
			 ", readOnly: true}]\n"
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
