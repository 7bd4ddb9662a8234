// SPDX-License-Identifier: Apache-2.0
#include "schema/view.h"

/*
 * Theory of operation. Both views have one wire_key, which address translation on the way leaves alone;
 * a number of so few bits may repeat, so time, method, target and status must agree as well. Where the
 * client's end sent it to another address than the server's got it, that one is kept as `asked`.
 */
static bool is_near(uint64_t a, uint64_t b)
{
	return (a > b ? a - b : b - a) <= VIEW_APART_NS;
}

/* Parts of one exchange have one key; those that hold as many messages are views of one part. */
static bool is_same_part(const struct exchange *a, const struct exchange *b)
{
	uint64_t is_later = a->anomalies & ANOMALY_BIT(CONTINUATION);

	if (is_later != (b->anomalies & ANOMALY_BIT(CONTINUATION)))
		return false;
	return !is_later || (a->messages[0] == b->messages[0] && a->messages[1] == b->messages[1]);
}

bool view_matches(const struct exchange *a, const struct exchange *b)
{
	return a->wire_key == b->wire_key && a->stream == b->stream &&
	       is_near(a->start_ns, b->start_ns) && span_eq(a->method, b->method) &&
	       span_eq(a->target, b->target) &&
	       (a->status == b->status || !a->status || !b->status) && is_same_part(a, b);
}

static unsigned worth_of(const struct message *m)
{
	return (m->flags & MESSAGE_PRESENT ? 1U : 0) + (m->flags & MESSAGE_COMPLETE ? 2U : 0);
}

bool view_is_better(const struct exchange *x, const struct exchange *than)
{
	return worth_of(&x->request) + worth_of(&x->response) >
	       worth_of(&than->request) + worth_of(&than->response);
}

static void join_times(struct message *m, struct message client, struct message server)
{
	bool is_clients_known = client.flags & MESSAGE_PRESENT;

	m->first_ns = is_clients_known ? client.first_ns : server.first_ns;
	m->last_ns = is_clients_known ? client.last_ns : server.last_ns;
	m->server_first_ns = server.first_ns;
	m->server_last_ns = server.last_ns;
}

static bool is_same_end(const struct endpoint *a, const struct endpoint *b)
{
	return a->port == b->port && memcmp(a->address, b->address, sizeof(a->address)) == 0;
}

struct exchange *view_join(struct exchange *keep, const struct exchange *c,
			   const struct exchange *s)
{
	const struct exchange client = *c, server = *s;

	join_times(&keep->request, client.request, server.request);
	join_times(&keep->response, client.response, server.response);
	if (!is_same_end(&client.dst, &server.dst)) {
		keep->asked = (struct asked){
			.port = client.dst.port, .is_ipv4 = client.dst.is_ipv4, .is_known = true};
		memcpy(keep->asked.address, client.dst.address, sizeof(keep->asked.address));
	}
	keep->connection = client.connection;
	keep->sequence = client.sequence;
	keep->src = client.src;
	keep->dst = server.dst;
	keep->netns = client.netns;
	keep->server_netns = server.netns;
	return keep;
}
