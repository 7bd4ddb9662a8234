// SPDX-License-Identifier: Apache-2.0
#include "kube/config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/buf.h"

/*
 * Theory of operation. A pod is told where the API server is by two variables, and who it is by
 * three files that the kubelet keeps fresh: the token is replaced before it expires, so it is read
 * when it is used (kube/credential.h). The namespace never changes and is read here.
 */
#define ACCOUNT_DIRECTORY "/var/run/secrets/kubernetes.io/serviceaccount"
#define NAME_MAX_BYTES	  253 /* of a namespace; DNS label, RFC 1123, is less */

static void wipe(char *secret)
{
	if (secret)
		explicit_bzero(secret, strlen(secret));
	free(secret);
}

static void free_list(char **list)
{
	for (char **at = list; at && *at; at++)
		wipe(*at);
	free(list);
}

void kube_config_free(struct kube_config *c)
{
	if (!c)
		return;
	free(c->origin);
	free(c->context);
	free(c->server);
	free(c->ca_file);
	free(c->ca_data);
	free(c->tls_server_name);
	free(c->proxy_url);
	free(c->name_space);
	wipe(c->token);
	free(c->token_file);
	free(c->username);
	wipe(c->password);
	free(c->cert_file);
	free(c->key_file);
	free(c->cert_data);
	wipe(c->key_data);
	free(c->exec.command);
	free_list(c->exec.args);
	free_list(c->exec.env);
	free(c->exec.api_version);
	free(c);
}

static char *join(const char *directory, const char *name)
{
	char *path;

	return asprintf(&path, "%s/%s", directory, name) < 0 ? NULL : path;
}

/* The first word of a small file; NULL when there is none. */
static char *read_word(const char *path)
{
	char text[NAME_MAX_BYTES + 2];
	FILE *in = fopen(path, "re");
	size_t n;

	if (!in)
		return NULL;
	n = fread(text, 1, sizeof(text) - 1, in);
	(void)fclose(in);
	text[n] = '\0';
	text[strcspn(text, " \t\r\n")] = '\0';
	return text[0] ? strdup(text) : NULL;
}

/* Which server: an IPv6 address stands in brackets in a URL (RFC 3986 3.2.2). */
static char *server_url(const char *host, const char *port)
{
	bool is_v6 = strchr(host, ':') && host[0] != '[';
	char *url;

	if (asprintf(&url, "https://%s%s%s:%s", is_v6 ? "[" : "", host, is_v6 ? "]" : "", port) < 0)
		return NULL;
	return url;
}

static int fill_in_cluster(struct kube_config *c, const char *directory, const char *host,
			   const char *port)
{
	char *name_file = join(directory, "namespace");

	c->origin = strdup(directory);
	c->server = server_url(host, port);
	c->ca_file = join(directory, "ca.crt");
	c->token_file = join(directory, "token");
	if (name_file)
		c->name_space = read_word(name_file);
	if (!c->name_space)
		c->name_space = strdup("default");
	free(name_file);
	return c->origin && c->server && c->ca_file && c->token_file && c->name_space ? 0 : -ENOMEM;
}

int kube_config_in_cluster(const char *directory, struct kube_config **out, struct err *e)
{
	const char *host = getenv("KUBERNETES_SERVICE_HOST"),
		   *port = getenv("KUBERNETES_SERVICE_PORT");
	AUTO(kube_config) c = calloc(1, sizeof(*c));

	if (!directory)
		directory = ACCOUNT_DIRECTORY;
	if (!host || !*host)
		return err_set(e, -ENOENT, "not in a pod: KUBERNETES_SERVICE_HOST is not set");
	if (!c || fill_in_cluster(c, directory, host, port && *port ? port : "443") < 0)
		return err_set(e, -ENOMEM, "service account: out of memory");
	if (access(c->token_file, R_OK) < 0)
		return err_set(e, -ENOENT, "%s: %s", c->token_file, strerror(errno));
	if (access(c->ca_file, R_OK) < 0) { /* then the system's own authorities */
		free(c->ca_file);
		c->ca_file = NULL;
	}
	*out = TAKE(c);
	return 0;
}

int kube_config_find(const char *path, const char *context, struct kube_config **out, struct err *e)
{
	int r;

	if ((path && *path) || (context && *context))
		return kube_config_load(path, context, out, e);
	r = kube_config_in_cluster(NULL, out, e);
	return r == -ENOENT ? kube_config_load(NULL, NULL, out, e) : r;
}
