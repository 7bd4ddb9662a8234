// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "daemon/interfaces.h"
#include "daemon/memory.h"
#include "daemon/settings.h"
#include "daemon/sidecar.h"
#include "http-api/api.h"
#include "http-api/certificate.h"
#include "lib/log.h"
#include "record/record.h"
#include "record/handle.h"
#include "record/pod_select.h"
#include "store/filter.h"

/*
 * Theory of operation. Each value was read by its row; here is what takes more than a row to say:
 * texts that have a grammar of their own, and values that must fit each other. One check, one row.
 */
static int check_bpf(const struct settings *s, struct err *e)
{
	return handle_check_bpf(s->filter_bpf, e);
}

static int check_record(const struct settings *s, struct err *e)
{
	struct filter *f = NULL;
	int failed = filter_parse(span_str(s->record), &f, e);

	filter_free(f);
	return failed;
}

static int check_log_level(const struct settings *s, struct err *e)
{
	enum log_level level;

	if (log_level_parse(s->log_level, &level) < 0)
		return err_set(e, -EINVAL, "'%s': expected err, warn, info or debug", s->log_level);
	return 0;
}

static int check_identities(const struct settings *s, struct err *e)
{
	struct identities *i = NULL;
	int failed = identities_load(s->identities, NULL, 0, &i, e);

	identities_free(i);
	return failed;
}

static int check_store(const struct settings *s, struct err *e)
{
	return *s->store ? 0 : err_set(e, -EINVAL, "expected a directory");
}

/* The largest exchange, with what stands around its heads and bodies, must fit into half the queue.
 */
static int check_queue(const struct settings *s, struct err *e)
{
	uint64_t most = record_exchange_bytes_max((size_t)s->head_max, (size_t)s->body_max);

	if (s->queue_size / 2 >= most)
		return 0;
	return err_set(e, -EINVAL,
		       "%zu bytes are too little: an exchange as large as body_max and head_max "
		       "allow needs %zu",
		       (size_t)s->queue_size, (size_t)(2 * most));
}

static int check_memory(const struct settings *s, struct err *e)
{
	struct memory m;
	bool has_pods = strcmp(s->kube_pods, "true") == 0;
	size_t count = s->interfaces.count + s->netns.count;

	return memory_divide(s, has_pods ? count : MAX(count, 1U),
			     has_pods ? (size_t)s->kube_rings : 0, &m, e);
}

static int check_pods(const struct settings *s, struct err *e)
{
	static const char *const known[] = {"true", "false", "auto"};

	for (size_t i = 0; i < COUNT_OF(known); i++)
		if (strcmp(s->kube_pods, known[i]) == 0)
			return 0;
	return err_set(e, -EINVAL, "'%s': expected true, false or auto", s->kube_pods);
}

static int check_select(const struct settings *s, struct err *e)
{
	struct pod_select *select = NULL;
	int failed = pod_select_new(span_str(s->kube_select), &select, e);

	pod_select_free(select);
	return failed;
}

static int check_auth(const struct settings *s, struct err *e)
{
	int auth = api_auth_parse(s->api_auth);

	if (auth < 0)
		return err_set(e, auth, "'%s': expected none, kubernetes or token-file",
			       s->api_auth);
	if (auth == API_AUTH_TOKEN_FILE && !*s->api_token_file)
		return err_set(e, -EINVAL, "token-file: api.token_file names none");
	return 0;
}

static int check_certificate(const struct settings *s, struct err *e)
{
	if (*s->api_tls_cert && !*s->api_tls_key && strcmp(s->api_tls_cert, CERTIFICATE_SELF) != 0)
		return err_set(e, -EINVAL, "%s: api.tls_key names no key", s->api_tls_cert);
	return 0;
}

static int check_kube(const struct settings *s, struct err *e)
{
	static const char *const words[] = {"auto", "true", "false"};

	for (size_t i = 0; i < COUNT_OF(words); i++)
		if (strcmp(s->kube_enabled, words[i]) == 0)
			return 0;
	return err_set(e, -EINVAL, "'%s': expected true, false or auto", s->kube_enabled);
}

static const struct {
	enum setting which;
	int (*check)(const struct settings *s, struct err *e);
} checks[] = {
	{SETTING_filter_bpf, check_bpf},
	{SETTING_record, check_record},
	{SETTING_log_level, check_log_level},
	{SETTING_identities, check_identities},
	{SETTING_store, check_store},
	{SETTING_queue_size, check_queue},
	{SETTING_memory_max, check_memory},
	{SETTING_api_auth, check_auth},
	{SETTING_api_tls_cert, check_certificate},
	{SETTING_kube_enabled, check_kube},
	{SETTING_kube_pods, check_pods},
	{SETTING_kube_select, check_select},
};

int settings_check(const struct chosen *c, struct buf *errors)
{
	int error_count = 0;

	for (size_t i = 0; i < COUNT_OF(checks); i++) {
		const char *origin = c->origins[checks[i].which];
		struct err e;

		if (checks[i].check(&c->values, &e) == 0)
			continue;
		buf_add_fmt(errors, "%s: %s: %s\n", origin ? origin : "default",
			    setting_rows[checks[i].which].key, e.why);
		error_count++;
	}
	return error_count;
}

int settings_load(const struct invocation *how, char **argv, struct chosen *out, struct buf *errors)
{
	const char *path = how->config_path;
	int error_count = 0;

	struct err e;

	if (chosen_init(out) < 0 || (how->is_sidecar && sidecar_defaults(out, &e) < 0)) {
		buf_add_str(errors, "settings: out of memory\n");
		return 1;
	}
	if (!path && access(SETTINGS_DEFAULT_PATH, F_OK) == 0)
		path = SETTINGS_DEFAULT_PATH;
	if (path)
		error_count += settings_file(path, out, errors);
	error_count += settings_environment(out, errors);
	error_count += settings_flags(argv, out, errors);
	if (error_count == 0)
		error_count = settings_check(out, errors);
	return error_count;
}
