// SPDX-License-Identifier: Apache-2.0
#include "cli/replay_target.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

#include "kube/config.h"
#include "kube/forward.h"
#include "lib/json.h"
#include "replay/transport.h"

/*
 * Theory of operation
 *
 * kube/ knows references, backends and tunnels, replay/ knows targets and ways; neither knows the other, and
 * this file stands between. Inside a cluster (no kubeconfig was needed to find the API server) a service is its
 * cluster address, and pods are reached at theirs, in turn by connection; from outside all goes through
 * port-forward. Everybody who is behind a target goes along with it, so that a target that was recorded from is known
 * as such whichever way it is reached.
 */

struct reached {
	struct replay_reach *reach;
	struct kube_reference reference;
	struct kube_backend backend;
	struct target_way way;
	struct target_place *places; /* cluster addresses, pods */
	size_t place_count, next;
	int forward; /* number of kube_forward_add(); -1: direct */
	uint16_t target;
};

struct replay_reach {
	struct kube_client *client; /* NULL: handed over to forward */
	struct kube_forward *forward;
	struct reached list[TARGET_MAX];
	size_t count;
	bool is_inside;
	char name_space[KUBE_LABEL_MAX + 1]; /* where a reference gives none */
};

int replay_reach_add(struct replay_reach **reach, struct targets *targets, const char *name,
		     const char *text, struct err *e)
{
	struct replay_reach *all = *reach;
	struct reached *one;
	struct target *t;
	int r;

	if (!all)
		all = *reach = calloc(1, sizeof(*all));
	if (!all)
		return err_set(e, -ENOMEM, "out of memory");
	t = target_add_later(targets, name, e);
	if (!t)
		return -E2BIG;
	one = &all->list[all->count++];
	r = kube_reference_parse(text, &one->reference, e);
	if (r < 0)
		return r;
	one->reach = all;
	one->forward = -1;
	one->target = (uint16_t)(targets->count - 1);
	(void)snprintf(t->shown, sizeof(t->shown), "%.*s", (int)sizeof(t->shown) - 1, text);
	return 0;
}

/* ---- ways ---- */

static int open_forward(void *ctx, void **line_out)
{
	struct reached *one = ctx;
	struct kube_line *line = NULL;
	int fd = kube_forward_open(one->reach->forward, (size_t)one->forward, &line);

	*line_out = line;
	return fd;
}

static int why_forward(void *line, const char **detail_out)
{
	return kube_line_why(line, detail_out);
}

static void close_line(void *line)
{
	kube_line_close(line);
}

static void set_address(struct target *t, const uint8_t address[16], uint16_t port)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};

	memcpy(&v4.sin_addr, address + 12, 4);
	memcpy(&v6.sin6_addr, address, 16);
	if (memcmp(address, mapped, sizeof(mapped)) == 0) {
		memcpy(&t->address, &v4, sizeof(v4));
		t->address_bytes = sizeof(v4);
	} else {
		memcpy(&t->address, &v6, sizeof(v6));
		t->address_bytes = sizeof(v6);
	}
}

/* the next pod in turn */
static int open_direct(void *ctx, void **line_out)
{
	struct reached *one = ctx;
	const struct kube_backend_pod *pod =
		&one->backend.pods[one->next++ % one->backend.pod_count];
	struct transport_socket s = {.fd = -1};
	struct target t = {0};
	int r;

	set_address(&t, pod->address, pod->port);
	r = transport_socket(&t, &s);
	*line_out = NULL;
	return r < 0 ? r : s.fd;
}

/* ---- what is found ---- */

static int add_place(struct reached *one, const uint8_t address[16], uint16_t port)
{
	struct target_place *places =
		realloc(one->places, (one->place_count + 1) * sizeof(*places));

	if (!places)
		return -ENOMEM;
	one->places = places;
	places[one->place_count].port = port;
	memcpy(places[one->place_count++].address, address, 16);
	return 0;
}

static int gather_places(struct reached *one)
{
	const struct kube_backend *b = &one->backend;
	int r = 0;

	for (size_t i = 0; i < b->cluster_count && r == 0; i++)
		r = add_place(one, b->cluster[i], b->port);
	for (size_t i = 0; i < b->pod_count && r == 0; i++)
		r = add_place(one, b->pods[i].address, b->pods[i].port);
	return r;
}

static void name_pods(const struct kube_backend *b, struct buf *out)
{
	size_t limit = TARGET_SHOWN_MAX / 2;

	buf_add_fmt(out, "%zu ready pod%s", b->pod_count, b->pod_count == 1 ? "" : "s");
	for (size_t i = 0; i < b->pod_count && out->len < limit && *b->pods[i].name; i++)
		buf_add_fmt(out, "%s %s", i ? "," : ":", b->pods[i].name);
	if (out->len >= limit)
		buf_add_str(out, ", ...");
	if (b->unready_count)
		buf_add_fmt(out, " (%zu not ready)", b->unready_count);
	if (b->surplus_count)
		buf_add_fmt(out, " (%zu more are not used)", b->surplus_count);
}

static void describe(struct reached *one, struct target *t, const char *how)
{
	const struct kube_backend *b = &one->backend;
	const struct kube_reference *ref = &b->reference;
	bool is_service = ref->kind == KUBE_SERVICE;
	AUTO_BUF text = {0};

	(void)snprintf(t->host, sizeof(t->host), "%.*s.%s%s", KUBE_LABEL_MAX, ref->name,
		       ref->name_space, is_service ? ".svc" : "");
	(void)snprintf(t->authority, sizeof(t->authority), "%.*s:%u", TARGET_TEXT_MAX - 8, t->host,
		       b->port);
	(void)snprintf(t->shown, sizeof(t->shown), "%s%s/%.*s.%s:%u",
		       kube_resource(ref->kind)->word, b->is_tls ? "+https" : "",
		       TARGET_TEXT_MAX - 96, ref->name, ref->name_space, b->port);
	(void)snprintf(t->name_space, sizeof(t->name_space), "%s", ref->name_space);
	buf_add_fmt(&text, "%s", how);
	name_pods(b, &text);
	(void)snprintf(t->how, sizeof(t->how), "%s", buf_cstr(&text));
	t->is_tls = b->is_tls;
	t->places = one->places;
	t->place_count = one->place_count;
}

static void go_direct(struct reached *one, struct target *t)
{
	const struct kube_backend *b = &one->backend;
	char address[INET6_ADDRSTRLEN] = "";
	char how[INET6_ADDRSTRLEN + 64];

	if (b->cluster_count == 0) {
		one->way = (struct target_way){.open = open_direct, .ctx = one};
		t->way = &one->way;
		describe(one, t, "directly, in turn to ");
		return;
	}
	set_address(t, b->cluster[0], b->port);
	if (t->address.ss_family == AF_INET)
		(void)inet_ntop(AF_INET, b->cluster[0] + 12, address, sizeof(address));
	else
		(void)inet_ntop(AF_INET6, b->cluster[0], address, sizeof(address));
	(void)snprintf(how, sizeof(how), "directly at its cluster address %s, for ", address);
	describe(one, t, how);
}

static int go_forward(struct reached *one, struct target *t, struct err *e)
{
	struct kube_backend copy = {0};

	/* described before it is handed over */
	one->way = (struct target_way){
		.open = open_forward, .why = why_forward, .close = close_line, .ctx = one};
	t->way = &one->way;
	describe(one, t, "by port-forward to ");
	copy = one->backend;
	one->forward = kube_forward_add(one->reach->forward, &copy, e);
	if (one->forward < 0)
		return one->forward;
	one->backend.pods = NULL;
	one->backend.pods_path = NULL;
	return 0;
}

/* ---- finding ---- */

static int open_client(struct replay_reach *reach, const struct replay_args *a, struct err *e)
{
	struct kube_config *config = NULL;
	int r = kube_config_find(a->source.kube.kubeconfig, a->source.kube.context, &config, e);

	if (r < 0)
		return r == -ENOENT && e ? (e->code = -ENXIO) : r; /* it is no 'nothing matched' */
	reach->is_inside = !config->context;
	(void)snprintf(reach->name_space, sizeof(reach->name_space), "%s",
		       a->source.name_space ? a->source.name_space
		       : config->name_space ? config->name_space
					    : "default");
	return kube_client_new(config, &reach->client, e);
}

static int find_one(struct replay_reach *reach, struct reached *one, replay_ports_fn *ports,
		    void *ctx, struct err *e)
{
	struct kube_ports used = {0};
	int r = kube_backend_find(reach->client, &one->reference, reach->name_space, NULL,
				  &one->backend, e);

	if (r == -ENOTUNIQ) { /* the selection is gone through once more, so only when it must be */
		r = ports(ctx, one->target, &used, e);
		kube_backend_fini(&one->backend);
		if (r == 0)
			r = kube_backend_find(reach->client, &one->reference, reach->name_space,
					      &used, &one->backend, e);
	}
	if (r == 0 && gather_places(one) < 0)
		r = err_set(e, -ENOMEM, "out of memory");
	if (r == -ENOENT || r == -ENOTUNIQ)
		r = r == -ENOENT ? -ENXIO : -EINVAL; /* they would mean: nothing matched */
	if (r < 0 && e)
		e->code = r;
	return r;
}

static void say(void *ctx, const char *text)
{
	(void)ctx;
	cli_note("%s", text);
}

static int open_ways(struct replay_reach *reach, bool is_direct, struct targets *targets,
		     struct err *e)
{
	int r = 0;

	if (!is_direct)
		r = kube_forward_new(TAKE(reach->client), say, NULL, &reach->forward, e);
	for (size_t i = 0; i < reach->count && r == 0; i++) {
		struct reached *one = &reach->list[i];
		struct target *t = &targets->list[one->target];

		if (is_direct)
			go_direct(one, t);
		else
			r = go_forward(one, t, e);
	}
	return r;
}

int replay_reach_find(struct replay_reach *reach, const struct replay_args *a,
		      struct targets *targets, replay_ports_fn *ports, void *ctx, struct err *e)
{
	int r = open_client(reach, a, e);

	for (size_t i = 0; i < reach->count && r == 0; i++)
		r = find_one(reach, &reach->list[i], ports, ctx, e);
	if (r == 0)
		r = open_ways(reach,
			      a->via == VIA_DIRECT || (a->via == VIA_AUTO && reach->is_inside),
			      targets, e);
	if (r == 0 && reach->forward && !a->is_dry)
		r = kube_forward_start(reach->forward, e);
	return r;
}

void replay_reach_summary(const struct replay_reach *reach, const struct targets *targets,
			  struct buf *out)
{
	for (size_t i = 0; reach && i < reach->count; i++) {
		const struct reached *one = &reach->list[i];
		struct kube_forward_counts n;

		if (one->forward < 0) {
			buf_add_fmt(out, "%s: %s\n", targets->list[one->target].shown,
				    targets->list[one->target].how);
			continue;
		}
		n = kube_forward_counts(reach->forward, (size_t)one->forward);
		buf_add_fmt(out, "%s: %llu connections %s", targets->list[one->target].shown,
			    (unsigned long long)n.connections, targets->list[one->target].how);
		if (n.failures)
			buf_add_fmt(out, "; %llu could not be made",
				    (unsigned long long)n.failures);
		if (n.left_out)
			buf_add_fmt(out, "; %llu pods were left out on the way",
				    (unsigned long long)n.left_out);
		buf_add_char(out, '\n');
	}
}

void replay_reach_json(const struct replay_reach *reach, const struct targets *targets,
		       struct json *j)
{
	if (!reach || !reach->forward)
		return;
	json_key(j, "forwards");
	json_array_begin(j);
	for (size_t i = 0; i < reach->count; i++) {
		const struct reached *one = &reach->list[i];
		struct kube_forward_counts n =
			kube_forward_counts(reach->forward, (size_t)one->forward);

		json_object_begin(j);
		json_key_str(j, "to", targets->list[one->target].shown);
		json_key_u64(j, "connections", n.connections);
		json_key_u64(j, "failures", n.failures);
		json_key_u64(j, "pods_left_out", n.left_out);
		json_object_end(j);
	}
	json_array_end(j);
}

void replay_reach_free(struct replay_reach *reach)
{
	if (!reach)
		return;
	kube_forward_free(reach->forward);
	kube_client_free(reach->client);
	for (size_t i = 0; i < reach->count; i++) {
		kube_backend_fini(&reach->list[i].backend);
		free(reach->list[i].places);
	}
	free(reach);
}
