// SPDX-License-Identifier: Apache-2.0
#include "http-api/kube_access.h"

#include "http-api/answers.h"
#include "http-api/namespaces.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

/*
 * Theory of operation
 *
 * A token becomes a user (TokenReview), and a user and a namespace become yes or no
 * (SubjectAccessReview). Both are kept under hashes, so no token stays in memory. Who may look into
 * all namespaces is asked that once; for others each namespace that there is anything of is asked,
 * or the one that the request names. Nobody answers: nothing is shown; what was kept before counts
 * no longer than it would have.
 *
 *	token --hash--> users, refused --user+namespace, hash--> decisions --> grant
 *
 * Bad tokens are kept apart from good ones, so that many of them push out none of these.
 */

struct kube_access {
	struct reviewer reviewer;
	struct namespaces *namespaces; /* borrowed */
	uint64_t keep_ns;
	struct answers *users, *refused, *decisions;
};

struct kube_access *kube_access_new(const struct reviewer *reviewer, struct namespaces *namespaces,
				    uint64_t keep_ns)
{
	struct kube_access *k = calloc(1, sizeof(*k));

	if (!k)
		return NULL;
	*k = (struct kube_access){
		.reviewer = *reviewer,
		.namespaces = namespaces,
		.keep_ns = keep_ns,
		.users = answers_new(KUBE_ACCESS_USERS_MAX),
		.refused = answers_new(KUBE_ACCESS_USERS_MAX),
		.decisions = answers_new(KUBE_ACCESS_DECISIONS_MAX),
	};
	if (k->users && k->refused && k->decisions && sodium_init() >= 0)
		return k;
	kube_access_free(k);
	return NULL;
}

void kube_access_free(struct kube_access *k)
{
	if (!k)
		return;
	answers_free(k->users);
	answers_free(k->refused);
	answers_free(k->decisions);
	free(k);
}

/* ---- who ---- */

static void hash_of(const char *what, const uint8_t *key, struct span text,
		    uint8_t out[ANSWER_KEY_BYTES])
{
	crypto_generichash_state st;

	(void)crypto_generichash_init(&st, NULL, 0, ANSWER_KEY_BYTES);
	(void)crypto_generichash_update(&st, (const uint8_t *)what, strlen(what) + 1);
	if (key)
		(void)crypto_generichash_update(&st, key, ANSWER_KEY_BYTES);
	(void)crypto_generichash_update(&st, text.ptr, text.len);
	(void)crypto_generichash_final(&st, out, ANSWER_KEY_BYTES);
}

static int bad_token(struct err *e)
{
	return err_set(e, -EACCES, "the cluster does not know this token");
}

static int ask_who(struct kube_access *k, const struct grant_question *q, const uint8_t *key,
		   struct review_user **out, struct err *e)
{
	struct answer a = {0};
	int r = k->reviewer.token(k->reviewer.ctx, q->token, &a.user, e);

	a.is_yes = r == 0;
	if (r == 0)
		answers_keep(k->users, key, &a, q->now_ns, q->now_ns + k->keep_ns);
	else if (r == -EACCES)
		answers_keep(k->refused, key, &a, q->now_ns,
			     q->now_ns + MIN(k->keep_ns, KUBE_ACCESS_REFUSED_NS));
	*out = a.user;
	return r == -EACCES ? bad_token(e) : r;
}

static int find_user(struct kube_access *k, const struct grant_question *q, const uint8_t *key,
		     struct review_user **out, struct err *e)
{
	struct answer a = {0};

	if (answers_find(k->refused, key, q->now_ns, &a))
		return bad_token(e);
	if (!answers_find(k->users, key, q->now_ns, &a))
		return ask_who(k, q, key, out, e);
	*out = a.user;
	return 0;
}

/* ---- what ---- */

struct asking {
	struct kube_access *k;
	const struct grant_question *q;
	const struct review_user *user;
	uint8_t key[ANSWER_KEY_BYTES]; /* of the token */
};

/* Return: 1, 0 or a negative errno. */
static int may(const struct asking *a, const struct review_question *what, struct err *e)
{
	const char *text = what->name_space ? what->name_space : what->path;
	uint8_t key[ANSWER_KEY_BYTES];
	struct answer known = {0};
	int r;

	hash_of(what->name_space ? "namespace" : "path", a->key, span_str(text), key);
	if (answers_find(a->k->decisions, key, a->q->now_ns, &known))
		return known.is_yes;
	r = a->k->reviewer.access(a->k->reviewer.ctx, a->user, what, e);
	if (r >= 0)
		answers_keep(a->k->decisions, key, &(struct answer){.is_yes = r > 0}, a->q->now_ns,
			     a->q->now_ns + a->k->keep_ns);
	return r;
}

static int grant_one(const struct asking *a, const char *name_space, struct grant *out,
		     struct err *e)
{
	int r = may(a, &(struct review_question){.name_space = name_space}, e);

	if (r > 0 && name_list_add(&out->namespaces, span_str(name_space)) < 0)
		return err_set(e, -ENOMEM, "out of memory");
	return r;
}

static int grant_named(const struct asking *a, struct grant *out, struct err *e)
{
	char name[256];
	int r = 0;

	(void)snprintf(name, sizeof(name), "%.*s", (int)MIN(a->q->name_space.len, sizeof(name) - 1),
		       (const char *)a->q->name_space.ptr);
	if (a->q->name_space.len < sizeof(name))
		r = grant_one(a, name, out, e);
	return r ? MIN(r, 0)
		 : err_set(e, -EPERM,
			   "%s may not \"get pods/tapes\" (group tapeloop.dev) in namespace %s",
			   a->user->name, name);
}

static int grant_each(const struct asking *a, struct grant *out, struct err *e)
{
	struct name_list all = {0};
	int r = namespaces_list(a->k->namespaces, a->q->now_ns, &all, e);

	if (r == 0 && all.count > KUBE_ACCESS_NAMESPACES_MAX)
		r = err_set(e, -E2BIG,
			    "exchanges of %zu namespaces are here, more than can be asked for at "
			    "once: name one (namespace=, -n)",
			    all.count);
	for (size_t i = 0; i < all.count && r >= 0; i++)
		r = grant_one(a, all.all[i], out, e);
	name_list_fini(&all);
	return MIN(r, 0);
}

static int grant_what(const struct asking *a, struct grant *out, struct err *e)
{
	int r = may(a, &(struct review_question){.name_space = ""}, e);

	out->sees_all = out->sees_daemon = r > 0;
	if (r == 0 && a->q->wants_daemon) {
		r = may(a, &(struct review_question){.path = "/metrics"}, e);
		out->sees_daemon = r > 0;
		return MIN(r, 0);
	}
	if (r == 0)
		r = a->q->name_space.len ? grant_named(a, out, e) : grant_each(a, out, e);
	return MIN(r, 0);
}

int kube_access_grant(struct kube_access *k, const struct grant_question *q, struct grant *out,
		      struct err *e)
{
	struct asking a = {.k = k, .q = q};
	struct review_user *user = NULL;
	int r;

	hash_of("token", NULL, q->token, a.key);
	r = find_user(k, q, a.key, &user, e);
	a.user = user;
	if (r == 0) {
		(void)snprintf(out->name, sizeof(out->name), "%s", user->name);
		r = grant_what(&a, out, e);
	}
	review_user_unref(user);
	return r;
}
