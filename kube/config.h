// SPDX-License-Identifier: Apache-2.0
/*
 * config.h - where an API server is, and who we are there: from inside a cluster, or a kubeconfig
 *
 * What is read is checked for its form here and used by kube/client.h. Thread: one at a time.
 */
#pragma once

#include "lib/err.h"

/* A program that says who we are (exec credential plugin, client.authentication.k8s.io). */
struct kube_exec {
	char *command; /* a path when it has a slash, else looked for in PATH; NULL: none */
	char **args;   /* up to NULL; without the command */
	char **env;    /* "NAME=VALUE", up to NULL */
	char *api_version;
	bool wants_cluster; /* provideClusterInfo */
};

/* Files are opened when they are needed, again when they have changed. All texts are owned; NULL: not given. */
struct kube_config {
	char *origin;  /* what it was read from: for messages */
	char *context; /* its name; NULL in a cluster */
	char *server;  /* "https://10.96.0.1:443", without a slash at the end */
	char *ca_file;
	char *ca_data; /* PEM */
	char *tls_server_name;
	char *proxy_url;  /* NULL: as the environment says (https_proxy, no_proxy) */
	char *name_space; /* of the context, or of our own pod; "default" when nobody says */
	char *token, *token_file;
	char *username, *password;
	char *cert_file, *key_file;
	char *cert_data, *key_data; /* PEM */
	bool is_insecure;	    /* insecure-skip-tls-verify */
	struct kube_exec exec;
};

/**
 * kube_config_in_cluster() - as every pod is told: environment and service account
 * @directory: of the service account; NULL: /var/run/secrets/kubernetes.io/serviceaccount
 *
 * Return: 0; -ENOENT we are in no pod (no KUBERNETES_SERVICE_HOST, or no token).
 */
int kube_config_in_cluster(const char *directory, struct kube_config **out, struct err *e) MUST_USE;

/**
 * kube_config_load() - a kubeconfig, as kubectl reads it
 * @path:    NULL or "": the files of $KUBECONFIG, with ':' between, else ~/.kube/config. Of several
 *           the first that has a name gives it
 * @context: NULL or "": the current one
 * @e:       "path:line:column: what was expected"; -ENOENT no file, no such context
 *
 * Relative paths in it are relative to the file they stand in.
 */
int kube_config_load(const char *path, const char *context, struct kube_config **out,
		     struct err *e) MUST_USE;

/* kube_config_find() - @path when given; else in a cluster; else a kubeconfig */
int kube_config_find(const char *path, const char *context, struct kube_config **out,
		     struct err *e) MUST_USE;
void kube_config_free(struct kube_config *c); /* accepts NULL; secrets are wiped */
AUTO_DEFINE(kube_config, kube_config_free)
