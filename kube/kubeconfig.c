// SPDX-License-Identifier: Apache-2.0
#include "kube/config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/base64.h"
#include "lib/document.h"

/*
 * Theory of operation. A kubeconfig (kind Config, v1) has named clusters, users and contexts; a
 * context names one of each, and a namespace. $KUBECONFIG may name several files, which are looked
 * through in order: the first that has a cluster, user or context of a name, or any current
 * context, gives it; files that are not there are passed over. Nothing is merged inside of an entry.
 *
 * What is known is in tables of fields, each with the kind of its value; unknown keys are passed
 * over, as kubectl does, but auth-provider, which nothing serves any more, is refused by name.
 */
#define FILES_MAX 16
#define LIST_MAX  64 /* arguments, variables */

struct files {
	struct document all[FILES_MAX];
	char *paths[FILES_MAX];
	size_t count;
};

static void files_fini(struct files *f)
{
	for (size_t i = 0; i < f->count; i++) {
		document_fini(&f->all[i]);
		free(f->paths[i]);
	}
}

static int add_file(struct files *f, char *path_taken, bool may_be_absent, struct err *e)
{
	struct document *d = &f->all[f->count];
	yaml_node_t *root;
	int r;

	if (!path_taken || f->count == FILES_MAX) {
		free(path_taken);
		return err_set(e, path_taken ? -E2BIG : -ENOMEM, "kubeconfig: more than %d files",
			       FILES_MAX);
	}
	r = document_load(path_taken, d, e);
	if (r < 0) {
		free(path_taken);
		return r == -ENOENT && may_be_absent ? 0 : r;
	}
	f->paths[f->count++] = path_taken;
	root = document_root(d);
	if (root && root->type != YAML_MAPPING_NODE)
		return document_error(d, root, e, "expected a kubeconfig");
	return 0;
}

static int add_list(struct files *f, const char *list, struct err *e)
{
	int r = 0;

	while (*list && r == 0) {
		size_t n = strcspn(list, ":");

		if (n)
			r = add_file(f, strndup(list, n), true, e);
		list += n + (list[n] == ':');
	}
	return r;
}

static int load_files(struct files *f, const char *path, struct err *e)
{
	const char *list = getenv("KUBECONFIG"), *home = getenv("HOME");
	char *usual = NULL;
	int r;

	if (path && *path)
		return add_file(f, strdup(path), false, e);
	if (list && *list) {
		r = add_list(f, list, e);
		return r == 0 && f->count == 0
			       ? err_set(e, -ENOENT, "no file of KUBECONFIG=%s is there", list)
			       : r;
	}
	if (!home || asprintf(&usual, "%s/.kube/config", home) < 0)
		return err_set(e, -ENOENT, "no kubeconfig: neither KUBECONFIG nor HOME is set");
	return add_file(f, usual, false, e);
}

/* ---- nodes ---- */

static yaml_node_t *member(struct document *d, yaml_node_t *map, const char *key)
{
	yaml_node_pair_t *p;

	if (!map || map->type != YAML_MAPPING_NODE)
		return NULL;
	for (p = map->data.mapping.pairs.start; p < map->data.mapping.pairs.top; p++)
		if (span_eq(document_scalar(yaml_document_get_node(&d->tree, p->key)),
			    span_str(key)))
			return yaml_document_get_node(&d->tree, p->value);
	return NULL;
}

static bool is_true(const yaml_node_t *n)
{
	return span_eq(document_scalar(n), SPAN_LIT("true"));
}

/* {name: NAME, cluster: {...}} in the list @list: the mapping under @key. */
static yaml_node_t *named(struct document *d, const char *list, const char *key, struct span name)
{
	yaml_node_t *all = member(d, document_root(d), list);

	if (!all || all->type != YAML_SEQUENCE_NODE)
		return NULL;
	for (yaml_node_item_t *it = all->data.sequence.items.start;
	     it < all->data.sequence.items.top; it++) {
		yaml_node_t *entry = yaml_document_get_node(&d->tree, *it);

		if (span_eq(document_scalar(member(d, entry, "name")), name))
			return member(d, entry, key);
	}
	return NULL;
}

struct found {
	struct document *d;
	yaml_node_t *node;
};

static int find_named(struct files *f, const char *list, const char *key, struct span name,
		      struct found *out, struct err *e)
{
	for (size_t i = 0; i < f->count; i++) {
		*out = (struct found){&f->all[i], named(&f->all[i], list, key, name)};
		if (out->node)
			return 0;
	}
	return err_set(e, -ENOENT, "%s: no %s named \"%.*s\"", f->paths[0], key,
		       (int)MIN(name.len, 100), (const char *)name.ptr);
}

/* ---- values ---- */

static int refuse(const struct found *in, const yaml_node_t *n, const char *key, const char *what,
		  struct err *e)
{
	return document_error(in->d, n ? n : in->node, e, "%s: expected %s", key, what);
}

static int take_text(const struct found *in, const yaml_node_t *n, const char *key, char **out,
		     struct err *e)
{
	struct span s = document_scalar(n);

	if (!s.ptr || memchr(s.ptr, 0, s.len))
		return refuse(in, n, key, "a text", e);
	free(*out);
	*out = s.len ? strndup((const char *)s.ptr, s.len) : NULL;
	return s.len && !*out ? err_set(e, -ENOMEM, "%s: out of memory", in->d->path) : 0;
}

/* a path, relative to the file it stands in */
static int take_path(const struct found *in, const yaml_node_t *n, const char *key, char **out,
		     struct err *e)
{
	const char *slash = strrchr(in->d->path, '/');
	char *joined;
	int r = take_text(in, n, key, out, e);

	if (r < 0 || !*out || **out == '/' || !slash)
		return r;
	if (asprintf(&joined, "%.*s/%s", (int)(slash - in->d->path), in->d->path, *out) < 0)
		return err_set(e, -ENOMEM, "%s: out of memory", in->d->path);
	free(*out);
	*out = joined;
	return 0;
}

/* PEM in base64; older tools break its lines */
static int take_data(const struct found *in, const yaml_node_t *n, const char *key, char **out,
		     struct err *e)
{
	struct span s = document_scalar(n);
	char *text = malloc(s.len + 1);
	uint8_t *pem = malloc(base64_decoded_max(s.len) + 1);
	size_t len = 0, pem_len = 0;
	int r = text && pem ? 0 : err_set(e, -ENOMEM, "%s: out of memory", in->d->path);

	for (size_t i = 0; r == 0 && i < s.len; i++)
		if (!strchr(" \t\r\n", s.ptr[i]) || s.ptr[i] == 0)
			text[len++] = (char)s.ptr[i];
	if (r == 0 && (!s.ptr || !base64_decode(span_of(text, len), pem, &pem_len) ||
		       (pem_len && memchr(pem, 0, pem_len))))
		r = refuse(in, n, key, "base64 of PEM", e);
	free(text);
	if (r < 0) {
		free(pem);
		return r;
	}
	pem[pem_len] = '\0';
	free(*out);
	*out = (char *)pem;
	return 0;
}

typedef int take_fn(const struct found *in, const yaml_node_t *n, const char *key, char **out,
		    struct err *e);

struct key_row {
	const char *key;
	take_fn *take;
	size_t offset; /* of a char * in struct kube_config */
};
#define ROW(key, take, field)                                                                      \
	{                                                                                          \
		key, take, offsetof(struct kube_config, field)                                     \
	}

static const struct key_row cluster_rows[] = {
	ROW("server", take_text, server),
	ROW("certificate-authority", take_path, ca_file),
	ROW("certificate-authority-data", take_data, ca_data),
	ROW("tls-server-name", take_text, tls_server_name),
	ROW("proxy-url", take_text, proxy_url),
};
static const struct key_row user_rows[] = {
	ROW("token", take_text, token),
	ROW("tokenFile", take_path, token_file),
	ROW("username", take_text, username),
	ROW("password", take_text, password),
	ROW("client-certificate", take_path, cert_file),
	ROW("client-key", take_path, key_file),
	ROW("client-certificate-data", take_data, cert_data),
	ROW("client-key-data", take_data, key_data),
};

static int take_rows(const struct found *in, const struct key_row *rows, size_t count,
		     struct kube_config *c, struct err *e)
{
	int r = 0;

	for (size_t i = 0; i < count && r == 0; i++) {
		const yaml_node_t *n = member(in->d, in->node, rows[i].key);
		char **out = (char **)(void *)((char *)c + rows[i].offset);

		if (n)
			r = rows[i].take(in, n, rows[i].key, out, e);
	}
	return r;
}

/* ---- exec ---- */

static bool as_argument(const struct found *in, yaml_node_t *n, char **out)
{
	struct span s = document_scalar(n);

	(void)in;
	*out = s.ptr && !memchr(s.ptr, 0, s.len) ? strndup((const char *)s.ptr, s.len) : NULL;
	return *out != NULL;
}

/* {name: N, value: V} */
static bool as_variable(const struct found *in, yaml_node_t *n, char **out)
{
	struct span name = document_scalar(member(in->d, n, "name"));
	struct span value = document_scalar(member(in->d, n, "value"));

	if (!name.len || memchr(name.ptr, '=', name.len) ||
	    asprintf(out, "%.*s=%.*s", (int)name.len, (const char *)name.ptr, (int)value.len,
		     (const char *)value.ptr) < 0)
		*out = NULL;
	return *out != NULL;
}

static int take_list(const struct found *in, const char *key,
		     bool (*as)(const struct found *, yaml_node_t *, char **), char ***out,
		     struct err *e)
{
	yaml_node_t *list = member(in->d, in->node, key);
	size_t n = 0;

	if (!list || (list->type == YAML_SCALAR_NODE && list->data.scalar.length == 0))
		return 0;
	*out = calloc(LIST_MAX + 1, sizeof(**out));
	if (!*out)
		return err_set(e, -ENOMEM, "%s: out of memory", in->d->path);
	if (list->type != YAML_SEQUENCE_NODE ||
	    list->data.sequence.items.top - list->data.sequence.items.start > LIST_MAX)
		return refuse(in, list, key, "a list of at most 64", e);
	for (yaml_node_item_t *it = list->data.sequence.items.start;
	     it < list->data.sequence.items.top; it++)
		if (!as(in, yaml_document_get_node(&in->d->tree, *it), &(*out)[n++]))
			return refuse(in, list, key, "texts, or pairs of name and value", e);
	return 0;
}

static int take_exec(const struct found *user, struct kube_config *c, struct err *e)
{
	struct found in = {user->d, member(user->d, user->node, "exec")};
	struct kube_exec *x = &c->exec;
	yaml_node_t *command = member(in.d, in.node, "command"), *version;
	int r;

	if (!in.node)
		return 0;
	version = member(in.d, in.node, "apiVersion");
	r = command ? take_text(&in, command, "command", &x->command, e)
		    : refuse(&in, NULL, "exec", "a command", e);
	/* with a slash it is a path like the others */
	if (r == 0 && x->command && strchr(x->command, '/'))
		r = take_path(&in, command, "command", &x->command, e);
	if (r == 0)
		r = version ? take_text(&in, version, "apiVersion", &x->api_version, e)
			    : refuse(&in, NULL, "exec", "an apiVersion", e);
	if (r == 0)
		r = take_list(&in, "args", as_argument, &x->args, e);
	if (r == 0)
		r = take_list(&in, "env", as_variable, &x->env, e);
	x->wants_cluster = is_true(member(in.d, in.node, "provideClusterInfo"));
	return r;
}

/* ---- the whole ---- */

static int take_cluster(struct files *f, struct span name, struct kube_config *c, struct err *e)
{
	struct found in;
	int r = find_named(f, "clusters", "cluster", name, &in, e);
	size_t n;

	if (r == 0)
		r = take_rows(&in, cluster_rows, COUNT_OF(cluster_rows), c, e);
	if (r < 0)
		return r;
	c->is_insecure = is_true(member(in.d, in.node, "insecure-skip-tls-verify"));
	if (!c->server ||
	    (strncmp(c->server, "https://", 8) != 0 && strncmp(c->server, "http://", 7) != 0))
		return refuse(&in, member(in.d, in.node, "server"), "server",
			      "a URL, https://HOST:PORT", e);
	for (n = strlen(c->server); n && c->server[n - 1] == '/'; n--)
		c->server[n - 1] = '\0';
	return 0;
}

static int take_user(struct files *f, struct span name, struct kube_config *c, struct err *e)
{
	struct found in;
	int r = name.len ? find_named(f, "users", "user", name, &in, e) : 1;

	if (r == 1) /* a context without user: nobody in particular */
		return 0;
	if (r == 0)
		r = take_rows(&in, user_rows, COUNT_OF(user_rows), c, e);
	if (r == 0 && member(in.d, in.node, "auth-provider"))
		r = refuse(&in, member(in.d, in.node, "auth-provider"), "auth-provider",
			   "an exec plugin in its place", e);
	return r < 0 ? r : take_exec(&in, c, e);
}

static struct span current_context(struct files *f)
{
	for (size_t i = 0; i < f->count; i++) {
		struct document *d = &f->all[i];
		struct span s = document_scalar(member(d, document_root(d), "current-context"));

		if (s.len)
			return s;
	}
	return (struct span){0};
}

static int take_context(struct files *f, const char *context, struct kube_config *c, struct err *e)
{
	struct span name = context && *context ? span_str(context) : current_context(f);
	const yaml_node_t *ns;
	struct found in;
	int r;

	if (!name.len)
		return err_set(e, -ENOENT, "%s: no current-context; name one", f->paths[0]);
	r = find_named(f, "contexts", "context", name, &in, e);
	if (r < 0)
		return r;
	ns = member(in.d, in.node, "namespace");
	c->origin = strdup(in.d->path);
	c->context = strndup((const char *)name.ptr, name.len);
	r = ns ? take_text(&in, ns, "namespace", &c->name_space, e) : 0;
	if (r == 0 && !c->name_space)
		c->name_space = strdup("default");
	if (r == 0 && (!c->origin || !c->context || !c->name_space))
		r = err_set(e, -ENOMEM, "%s: out of memory", in.d->path);
	if (r == 0)
		r = take_cluster(f, document_scalar(member(in.d, in.node, "cluster")), c, e);
	return r < 0 ? r : take_user(f, document_scalar(member(in.d, in.node, "user")), c, e);
}

int kube_config_load(const char *path, const char *context, struct kube_config **out, struct err *e)
{
	AUTO(kube_config) c = calloc(1, sizeof(*c));
	struct files f = {0};
	int r = c ? load_files(&f, path, e) : err_set(e, -ENOMEM, "kubeconfig: out of memory");

	if (r == 0)
		r = take_context(&f, context, c, e);
	files_fini(&f);
	if (r == 0)
		*out = TAKE(c);
	return r;
}
