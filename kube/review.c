// SPDX-License-Identifier: Apache-2.0
#include "kube/review.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "kube/client.h"
#include "kube/config.h"

/*
 * Theory of operation. Reviews are objects that are created and answered at once: nothing is kept of
 * them (authentication.k8s.io/v1, authorization.k8s.io/v1). A TokenReview of a bad token is created
 * like any other; its status says that nobody was authenticated. What says who somebody is (name,
 * uid, groups, extra) goes from one answer into the next question as it came.
 *
 * A client belongs to one thread at a time: idle ones are kept on a stack, as many as there were
 * threads asking at once, up to IDLE_MAX.
 */
#define IDLE_MAX 4

struct kube_reviews {
	char *kubeconfig, *context;
	pthread_mutex_t lock;
	struct kube_client *idle[IDLE_MAX]; /* owned */
	size_t idle_count;
};

struct review_user *review_user_ref(struct review_user *u)
{
	if (u)
		(void)atomic_fetch_add_explicit(&u->refs, 1, memory_order_relaxed);
	return u;
}

void review_user_unref(struct review_user *u)
{
	if (!u || atomic_fetch_sub_explicit(&u->refs, 1, memory_order_acq_rel) != 1)
		return;
	free(u->name);
	free(u->spec);
	free(u);
}

/* ---- clients ---- */

static int new_client(const struct kube_reviews *k, struct kube_client **out, struct err *e)
{
	struct kube_config *config = NULL;
	int r = kube_config_find(k->kubeconfig, k->context, &config, e);

	return r < 0 ? r : kube_client_new(config, out, e);
}

static int borrow(struct kube_reviews *k, struct kube_client **out, struct err *e)
{
	*out = NULL;
	(void)pthread_mutex_lock(&k->lock);
	if (k->idle_count)
		*out = k->idle[--k->idle_count];
	(void)pthread_mutex_unlock(&k->lock);
	return *out ? 0 : new_client(k, out, e);
}

static void give_back(struct kube_reviews *k, struct kube_client *c)
{
	(void)pthread_mutex_lock(&k->lock);
	if (k->idle_count < IDLE_MAX) {
		k->idle[k->idle_count++] = c;
		c = NULL;
	}
	(void)pthread_mutex_unlock(&k->lock);
	kube_client_free(c);
}

/* ---- questions ---- */

/* Create @review (consumed) at @path. Return: its status, or NULL with @e set. */
static json_t *create(struct kube_reviews *k, const char *path, json_t *review, struct err *e)
{
	char *text = review ? json_dumps(review, JSON_COMPACT) : NULL;
	struct kube_request q = {.method = "POST",
				 .path = path,
				 .body = span_str(text),
				 .timeout_ms = KUBE_REVIEW_MS};
	struct kube_answer a = {0};
	struct kube_client *c = NULL;
	json_t *root = NULL, *status = NULL;
	int r = text ? borrow(k, &c, e) : err_set(e, -ENOMEM, "out of memory");

	if (r == 0) {
		r = kube_fetch(c, &q, &a, e);
		give_back(k, c);
	}
	if (r == 0)
		root = json_loadb((const char *)a.body.ptr, a.body.len, 0, NULL);
	status = json_incref(json_object_get(root, "status"));
	if (r == 0 && !json_is_object(status))
		(void)err_set(e, -EPROTO, "%s: the answer has no status", path);
	kube_answer_fini(&a);
	json_decref(root);
	json_decref(review);
	if (text)
		explicit_bzero(text, strlen(text));
	free(text);
	return status;
}

static int no_answer(struct err *e)
{
	struct err why = e ? *e : (struct err){0};

	return err_set(e, -EAGAIN, "the API server does not say who may ask: %s", why.why);
}

/* ---- who ---- */

static const char *const user_keys[][2] = {
	/* of a TokenReview's user, of a SubjectAccessReview's spec */
	{"username", "user"},
	{"uid", "uid"},
	{"groups", "groups"},
	{"extra", "extra"},
};

static struct review_user *make_user(const json_t *user)
{
	struct review_user *u = calloc(1, sizeof(*u));
	const char *name = json_string_value(json_object_get(user, "username"));
	json_t *spec = json_object();

	for (size_t i = 0; i < COUNT_OF(user_keys); i++) {
		json_t *v = json_object_get(user, user_keys[i][0]);

		if (v)
			(void)json_object_set(spec, user_keys[i][1], v);
	}
	if (u) {
		atomic_init(&u->refs, 1);
		u->name = strdup(name ? name : "");
		u->spec = spec ? json_dumps(spec, JSON_COMPACT) : NULL;
	}
	json_decref(spec);
	if (u && u->name && u->spec)
		return u;
	review_user_unref(u);
	return NULL;
}

static int read_user(const json_t *status, struct review_user **out, struct err *e)
{
	const json_t *user = json_object_get(status, "user");
	const char *name = json_string_value(json_object_get(user, "username"));

	if (!json_is_true(json_object_get(status, "authenticated")) || !name || !*name)
		return err_set(e, -EACCES, "nobody has this token");
	*out = make_user(user);
	return *out ? 0 : err_set(e, -EAGAIN, "out of memory");
}

static int review_token(void *ctx, struct span token, struct review_user **out, struct err *e)
{
	json_t *text = json_stringn((const char *)token.ptr, token.len), *status;
	struct err why = {0};
	int r;

	if (!text) /* no UTF-8 */
		return err_set(e, -EACCES, "nobody has this token");
	status = create(ctx, "/apis/authentication.k8s.io/v1/tokenreviews",
			json_pack("{ss ss s{so}}", "apiVersion", "authentication.k8s.io/v1", "kind",
				  "TokenReview", "spec", "token", text),
			&why);
	r = status ? read_user(status, out, &why) : no_answer(&why);
	json_decref(status);
	return r < 0 ? err_set(e, r, "%s", why.why) : 0;
}

/* ---- what ---- */

static json_t *attributes(const struct review_question *q)
{
	if (!q->name_space)
		return json_pack("{s{ss ss}}", "nonResourceAttributes", "path", q->path, "verb",
				 "get");
	return json_pack("{s{ss ss ss ss ss}}", "resourceAttributes", "namespace", q->name_space,
			 "verb", "get", "group", "tapeloop.dev", "resource", "pods", "subresource",
			 "tapes");
}

static int review_access(void *ctx, const struct review_user *user, const struct review_question *q,
			 struct err *e)
{
	json_t *spec = json_loads(user->spec, 0, NULL), *asked = attributes(q), *status;
	struct err why = {0};
	int r;

	if (!spec || !asked || json_object_update(spec, asked) < 0) {
		json_decref(spec);
		json_decref(asked);
		return err_set(e, -EAGAIN, "out of memory");
	}
	json_decref(asked);
	status = create(ctx, "/apis/authorization.k8s.io/v1/subjectaccessreviews",
			json_pack("{ss ss so}", "apiVersion", "authorization.k8s.io/v1", "kind",
				  "SubjectAccessReview", "spec", spec),
			&why);
	r = status ? json_is_true(json_object_get(status, "allowed")) : no_answer(&why);
	json_decref(status);
	return r < 0 ? err_set(e, r, "%s", why.why) : r;
}

/* ---- the whole ---- */

int kube_reviews_new(const char *kubeconfig, const char *context, struct kube_reviews **out,
		     struct err *e)
{
	struct kube_reviews *k = calloc(1, sizeof(*k));
	struct kube_client *first = NULL;
	int r;

	if (!k)
		return err_set(e, -ENOMEM, "out of memory");
	(void)pthread_mutex_init(&k->lock, NULL);
	k->kubeconfig = strdup(kubeconfig ? kubeconfig : "");
	k->context = strdup(context ? context : "");
	r = k->kubeconfig && k->context ? borrow(k, &first, e)
					: err_set(e, -ENOMEM, "out of memory");
	if (r < 0) {
		kube_reviews_free(k);
		return r;
	}
	give_back(k, first);
	*out = k;
	return 0;
}

void kube_reviews_free(struct kube_reviews *k)
{
	if (!k)
		return;
	while (k->idle_count)
		kube_client_free(k->idle[--k->idle_count]);
	(void)pthread_mutex_destroy(&k->lock);
	free(k->kubeconfig);
	free(k->context);
	free(k);
}

struct reviewer kube_reviews_reviewer(struct kube_reviews *k)
{
	return (struct reviewer){.token = review_token, .access = review_access, .ctx = k};
}
