// SPDX-License-Identifier: Apache-2.0
#include "replay/target.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

/*
 * A target is an http or https URL without path: RFC 9110 4.2. The name is resolved once, before the
 * run, so that no look-up delays a send. ws and wss (RFC 6455 3) are other words for the same: what
 * is spoken is what was recorded. Unix sockets are refused by name, not taken for a typo.
 */

#define EXPECTED "expected http[s]://HOST[:PORT]"

static const struct {
	const char *prefix;
	bool is_tls;
} schemes[] = {{"http://", false}, {"https://", true}, {"ws://", false}, {"wss://", true}};

static bool take_prefix(struct span *s, const char *prefix)
{
	if (!span_istarts(*s, span_str(prefix)))
		return false;
	*s = span_from(*s, strlen(prefix));
	return true;
}

static int take_scheme(struct span *rest, bool *is_tls_out, const char *url, struct err *e)
{
	*is_tls_out = false;
	for (size_t i = 0; i < COUNT_OF(schemes); i++) {
		if (!take_prefix(rest, schemes[i].prefix))
			continue;
		*is_tls_out = schemes[i].is_tls;
		return 0;
	}
	if (span_istarts(*rest, SPAN_LIT("unix:")))
		return err_set(e, -EPROTONOSUPPORT, "target %s: unix sockets are not supported yet",
			       url);
	if (memmem(url, strlen(url), "://", 3))
		return err_set(e, -EINVAL, "target %s: " EXPECTED, url);
	return 0; /* HOST:PORT, as people type it */
}

/* Cut @rest into host and port; "[::1]:80" keeps its brackets out of the host. */
static int cut_authority(struct span rest, bool is_tls, char *host, size_t host_bytes, char port[6],
			 const char *url, struct err *e)
{
	const uint8_t *colon = NULL;
	struct span h = rest, p = is_tls ? SPAN_LIT("443") : SPAN_LIT("80");

	if (h.len && h.ptr[h.len - 1] == '/')
		h.len--;
	if (h.len == 0)
		return err_set(e, -EINVAL, "target %s: " EXPECTED, url);
	if (h.ptr[0] == '[') {
		const uint8_t *end = memchr(h.ptr, ']', h.len);

		if (!end)
			return err_set(e, -EINVAL, "target %s: '[' without ']'", url);
		if (end + 1 < h.ptr + h.len)
			colon = end[1] == ':' ? end + 1 : end;
		rest = span_of(h.ptr + 1, (size_t)(end - h.ptr) - 1);
	} else {
		colon = memrchr(h.ptr, ':', h.len);
		rest = colon ? span_of(h.ptr, (size_t)(colon - h.ptr)) : h;
	}
	if (colon)
		p = span_of(colon + 1, h.len - (size_t)(colon + 1 - h.ptr));
	if (rest.len == 0 || rest.len >= host_bytes || memchr(rest.ptr, '/', rest.len) ||
	    memchr(rest.ptr, '@', rest.len) || p.len == 0 || p.len > 5 || memchr(p.ptr, '/', p.len))
		return err_set(e, -EINVAL, "target %s: " EXPECTED " without a path", url);
	(void)snprintf(host, host_bytes, "%.*s", (int)rest.len, (const char *)rest.ptr);
	(void)snprintf(port, 6, "%.*s", (int)p.len, (const char *)p.ptr);
	return 0;
}

static bool is_port(const char *port)
{
	char *end;
	unsigned long n = strtoul(port, &end, 10);

	return *end == '\0' && port[0] >= '0' && port[0] <= '9' && n > 0 && n <= UINT16_MAX;
}

static int resolve(struct target *t, const char *host, const char *port, const char *url,
		   struct err *e)
{
	struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
	struct addrinfo *found = NULL;
	int r = getaddrinfo(host, port, &hints, &found);

	if (r != 0 || !found)
		return err_set(e, -EHOSTUNREACH, "target %s: %s", url, gai_strerror(r));
	memcpy(&t->address, found->ai_addr, found->ai_addrlen);
	t->address_bytes = found->ai_addrlen;
	freeaddrinfo(found);
	return 0;
}

static struct target *place_for(struct targets *t, const char *name, const char *text,
				struct err *e)
{
	struct target *to = &t->list[MIN(t->count, TARGET_MAX - 1)];

	if (t->count < TARGET_MAX && (!name || strlen(name) < sizeof(to->name))) {
		*to = (struct target){0};
		(void)snprintf(to->name, sizeof(to->name), "%s", name ? name : "");
		return to;
	}
	(void)err_set(e, -E2BIG, "target %s: at most %d targets with names under %d letters", text,
		      TARGET_MAX, TARGET_TEXT_MAX);
	return NULL;
}

struct target *target_add_later(struct targets *t, const char *name, struct err *e)
{
	struct target *to = place_for(t, name, name ? name : "", e);

	if (to)
		t->count++;
	return to;
}

int target_add(struct targets *t, const char *name, const char *url, struct err *e)
{
	struct target *to = place_for(t, name, url, e);
	struct span rest = span_str(url);
	char host[TARGET_TEXT_MAX - 8], port[6];
	bool is_tls;
	int r;

	if (!to)
		return -E2BIG;
	r = take_scheme(&rest, &is_tls, url, e);
	if (r == 0)
		r = cut_authority(rest, is_tls, host, sizeof(host), port, url, e);
	if (r == 0 && !is_port(port))
		r = err_set(e, -EINVAL, "target %s: a port is a number from 1 to 65535", url);
	if (r == 0)
		r = resolve(to, host, port, url, e);
	if (r < 0)
		return r;
	(void)snprintf(to->authority, sizeof(to->authority),
		       strchr(host, ':') ? "[%s]:%s" : "%s:%s", host, port);
	(void)snprintf(to->shown, sizeof(to->shown), strchr(host, ':') ? "%s[%s]:%s" : "%s%s:%s",
		       is_tls ? "https://" : "", host, port);
	(void)snprintf(to->host, sizeof(to->host), "%s", host);
	to->is_tls = is_tls;
	t->count++;
	return 0;
}

int target_add_map(struct targets *t, const char *map, struct err *e)
{
	const char *eq = strchr(map, '=');
	char name[TARGET_TEXT_MAX];

	if (!eq || eq == map || (size_t)(eq - map) >= sizeof(name))
		return err_set(e, -EINVAL, "map %s: expected SERVICE=http[s]://HOST:PORT", map);
	(void)snprintf(name, sizeof(name), "%.*s", (int)(eq - map), map);
	return target_add(t, name, eq + 1, e);
}

static struct span without_port(struct span host)
{
	const uint8_t *colon = host.len ? memrchr(host.ptr, ':', host.len) : NULL;

	return colon ? span_of(host.ptr, (size_t)(colon - host.ptr)) : host;
}

static bool is_named(struct span name, const struct exchange *x)
{
	return span_eq(name, x->dst.who.service) || span_eq(name, x->dst.who.pod) ||
	       span_ieq(name, x->host) || span_ieq(name, without_port(x->host));
}

uint16_t target_of(const struct targets *t, const struct exchange *x)
{
	uint16_t fallback = TARGET_NONE;

	for (uint16_t i = 0; i < t->count; i++) {
		struct span name = span_str(t->list[i].name);

		if (name.len == 0)
			fallback = i;
		else if (is_named(name, x))
			return i;
	}
	return fallback;
}

static bool is_at(const struct target_place *p, const struct exchange *x)
{
	return p->port == x->dst.port &&
	       memcmp(p->address, x->dst.address, sizeof(p->address)) == 0;
}

bool target_shares_namespace(const struct target *t, const struct exchange *x)
{
	return *t->name_space && span_eq(span_str(t->name_space), x->dst.who.name_space);
}

bool target_is_recorded(const struct target *t, const struct exchange *x)
{
	const struct sockaddr_in *v4 = (const void *)&t->address;
	const struct sockaddr_in6 *v6 = (const void *)&t->address;

	for (size_t i = 0; i < t->place_count; i++)
		if (is_at(&t->places[i], x))
			return true;
	if (t->address.ss_family == AF_INET)
		return x->dst.is_ipv4 && ntohs(v4->sin_port) == x->dst.port &&
		       memcmp(&v4->sin_addr, x->dst.address + 12, 4) == 0;
	return t->address.ss_family == AF_INET6 && ntohs(v6->sin6_port) == x->dst.port &&
	       memcmp(&v6->sin6_addr, x->dst.address, 16) == 0;
}
