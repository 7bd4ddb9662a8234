// SPDX-License-Identifier: Apache-2.0
#include "kube/exec.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kube/config.h"
#include "lib/clock.h"
#include "lib/json.h"
#include "lib/json_field.h"

/*
 * Theory of operation. The program gets our environment, its own variables, and
 * KUBERNETES_EXEC_INFO: an ExecCredential whose spec says whether anybody can be asked and, when
 * the kubeconfig wants that, which cluster it is about. It prints an ExecCredential with a status. What it prints is
 * bounded, and so is its time.
 */
#define PRINTED_MAX (1 << 20)
#define WAIT_MS	    60000
#define INFO_NAME   "KUBERNETES_EXEC_INFO="

extern char **environ;

void kube_exec_answer_fini(struct kube_exec_answer *a)
{
	char *const secrets[] = {a->token, a->cert, a->key};

	for (size_t i = 0; i < COUNT_OF(secrets); i++) {
		if (secrets[i])
			explicit_bzero(secrets[i], strlen(secrets[i]));
		free(secrets[i]);
	}
	*a = (struct kube_exec_answer){0};
}

static void put_cluster(struct json *j, const struct kube_config *c)
{
	json_key(j, "cluster");
	json_object_begin(j);
	json_key_str(j, "server", c->server);
	if (c->tls_server_name)
		json_key_str(j, "tls-server-name", c->tls_server_name);
	if (c->is_insecure)
		json_key_bool(j, "insecure-skip-tls-verify", true);
	if (c->ca_data) {
		json_key(j, "certificate-authority-data");
		json_base64(j, span_str(c->ca_data));
	}
	if (c->proxy_url)
		json_key_str(j, "proxy-url", c->proxy_url);
	json_object_end(j);
}

static void put_info(struct buf *out, const struct kube_config *c)
{
	struct json j = json_to(out);

	buf_add_str(out, INFO_NAME);
	json_object_begin(&j);
	json_key_str(&j, "kind", "ExecCredential");
	json_key_str(&j, "apiVersion", c->exec.api_version);
	json_key(&j, "spec");
	json_object_begin(&j);
	if (c->exec.wants_cluster)
		put_cluster(&j, c);
	json_key_bool(&j, "interactive", isatty(STDIN_FILENO) != 0);
	json_object_end(&j);
	json_object_end(&j);
}

static size_t list_len(char *const *list)
{
	size_t n = 0;

	while (list && list[n])
		n++;
	return n;
}

/* getenv() finds the first of a name, so the plugin's own come before ours. */
static char **make_environment(const struct kube_config *c, char *info)
{
	size_t own = list_len(c->exec.env), ours = list_len(environ), n = 0;
	char **all = calloc(own + ours + 2, sizeof(*all));

	if (!all)
		return NULL;
	all[n++] = info;
	for (size_t i = 0; i < own; i++)
		all[n++] = c->exec.env[i];
	for (size_t i = 0; i < ours; i++)
		if (strncmp(environ[i], INFO_NAME, sizeof(INFO_NAME) - 1) != 0)
			all[n++] = environ[i];
	return all;
}

static char **make_arguments(const struct kube_config *c)
{
	size_t n = list_len(c->exec.args);
	char **all = calloc(n + 2, sizeof(*all));

	if (!all)
		return NULL;
	all[0] = c->exec.command;
	for (size_t i = 0; i < n; i++)
		all[i + 1] = c->exec.args[i];
	return all;
}

/* Its output to the pipe; nothing else of ours but stdin and stderr. Return: errno's value, 0: it runs. */
static int spawn(const struct kube_config *c, int output, pid_t *pid_out)
{
	AUTO_BUF info = {0};
	posix_spawn_file_actions_t actions;
	char **arguments = make_arguments(c), **environment;
	int r;

	put_info(&info, c);
	(void)buf_cstr(&info);
	environment = make_environment(c, (char *)info.ptr);
	r = info.is_failed || !arguments || !environment ? ENOMEM
							 : posix_spawn_file_actions_init(&actions);
	if (r == 0) {
		r = posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
		if (r == 0)
			r = posix_spawnp(pid_out, c->exec.command, &actions, NULL, arguments,
					 environment);
		(void)posix_spawn_file_actions_destroy(&actions);
	}
	free(arguments);
	free(environment);
	return r;
}

static int read_all(int from, struct buf *out)
{
	uint64_t until = clock_mono_ns() + WAIT_MS * NS_PER_MS, now;

	while ((now = clock_mono_ns()) < until) {
		struct pollfd p = {.fd = from, .events = POLLIN};
		uint8_t piece[4096];
		ssize_t n;

		if (poll(&p, 1, (int)((until - now) / NS_PER_MS) + 1) <= 0)
			continue;
		n = read(from, piece, sizeof(piece));
		if (n == 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0)
			buf_add(out, piece, (size_t)n);
		explicit_bzero(piece, sizeof(piece));
		if (out->len > PRINTED_MAX || out->is_failed)
			return -E2BIG;
	}
	return -ETIMEDOUT;
}

static char *text_of(const json_t *status, const char *key)
{
	const char *text = json_string_value(json_object_get(status, key));

	return text && *text ? strdup(text) : NULL;
}

static int read_answer(const char *command, struct span printed, struct kube_exec_answer *out,
		       struct err *e)
{
	json_t *root = json_loadb((const char *)printed.ptr, printed.len, 0, NULL);
	const json_t *status = json_object_get(root, "status");
	struct kube_exec_answer a = {
		.token = text_of(status, "token"),
		.cert = text_of(status, "clientCertificateData"),
		.key = text_of(status, "clientKeyData"),
		.expires_ns = json_field_time(status, "expirationTimestamp"),
	};
	bool is_good = a.token || (a.cert && a.key);

	json_decref(root);
	if (!is_good) {
		kube_exec_answer_fini(&a);
		return err_set(e, -EPROTO,
			       "%s: expected an ExecCredential with a token or a certificate",
			       command);
	}
	*out = a;
	return 0;
}

/* When it did not end by itself it is ended. Return: 0, or why its answer does not count. */
static int wait_for(pid_t pid, int failed, const char *command, struct err *e)
{
	int status = 0;

	if (failed)
		(void)kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (failed)
		return err_set(e, failed, "%s: %s", command, strerror(-failed));
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return err_set(e, -EIO, "%s: ended with %s %d", command,
			       WIFEXITED(status) ? "status" : "signal",
			       WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
	return 0;
}

int kube_exec_run(const struct kube_config *c, struct kube_exec_answer *out, struct err *e)
{
	const char *command = c->exec.command;
	AUTO_BUF printed = {0};
	int ends[2], r;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_set(e, -errno, "%s: %s", command, strerror(errno));
	r = spawn(c, ends[1], &pid);
	(void)close(ends[1]);
	if (r == 0)
		r = wait_for(pid, read_all(ends[0], &printed), command, e);
	else
		r = err_set(e, -r, "%s: %s", command, strerror(r));
	(void)close(ends[0]);
	if (r == 0)
		r = read_answer(command, buf_span(&printed), out, e);
	if (printed.ptr)
		explicit_bzero(printed.ptr, printed.cap);
	return r;
}
