// SPDX-License-Identifier: Apache-2.0
#include "record/sample.h"

#include <errno.h>
#include <stdlib.h>
#include <xxhash.h>

/*
 * Theory of operation. An exchange is kept when its randomness R, a number of 56 bits, is not below
 * the threshold 2^56 - 2^56/N, where N is what its service keeps one of. R comes from the trace id,
 * so all exchanges of a trace are kept or left out together; and a trace that a service keeps one
 * in 100 of is kept by one that keeps one in 10, too. For ids of 32 hex digits R is their last 14,
 * as in OpenTelemetry's consistent probability sampling: what is kept here is what a collector with
 * the same share keeps. Exchanges without a trace id take a hash of where and when they were.
 *
 * What is kept stands for N. The first few of a route in a minute are kept whatever N, stand for
 * themselves, and are taken out of what the others stand for: sums stay right on average.
 *
 * A service that would have more kept than rate_max in a second has its N doubled, at once and for
 * as long as the seconds stay that full; N is decided before an exchange is looked at, so weights
 * are right here too.
 *
 * Bounded: services and routes have slots by hash. Where two meet in one, the newer takes it over:
 * a few more of the first are kept, or N begins anew. Names are hashed under a key of the process,
 * or a client could choose paths that meet.
 */
#define R_BITS	      56
#define R_COUNT	      (UINT64_C(1) << R_BITS)
#define ROUTE_SLOTS   UINT32_C(16384)
#define SERVICE_SLOTS UINT32_C(1024)
#define SPACE_SHARE   UINT32_C(16) /* of these slots, for a sampler of one namespace */
#define NARROWING_MAX (UINT64_C(1) << 20)
#define WEIGHT_MAX    UINT32_MAX
#define MINUTE_NS     (60 * NS_PER_S)
#define ONE_IN_MAX    1000000

struct route_slot {
	uint64_t hash, minute;
	uint64_t count;
};

struct service_slot {
	uint64_t hash, second;
	uint64_t kept;	    /* in that second, the first ones not counted */
	uint64_t narrowing; /* N is so many times the share; a power of two */
};

struct share_row {
	uint64_t hash;
	uint64_t one_in;
};

struct sampler {
	uint64_t one_in, rate_max, first;
	struct share_row *shares;
	size_t share_count;
	struct route_slot *routes;     /* NULL: no first ones */
	struct service_slot *services; /* NULL: no rate */
	size_t route_slots, service_slots;
};

bool sample_keeps_all(const struct sample_policy *p)
{
	return p->one_in <= 1 && p->rate_max == 0 && (!p->services || !p->services[0]);
}

static uint64_t hash_of(const struct sampler *s, struct span name)
{
	/* where the sampler lies is as good as a secret */
	return XXH3_64bits_withSeed(name.ptr ? name.ptr : (const uint8_t *)"", name.len,
				    (uint64_t)(uintptr_t)s);
}

static int add_share(struct sampler *s, const char *row, struct err *e)
{
	const char *equals = strrchr(row, '=');
	char *end;
	unsigned long long n = equals ? strtoull(equals + 1, &end, 10) : 0;

	if (!equals || equals == row || *end || end == equals + 1 || n < 1 || n > ONE_IN_MAX)
		return err_set(
			e, -EINVAL,
			"sample.services: '%s': expected SERVICE=N, N from 1 to %d: one in N "
			"is kept",
			row, ONE_IN_MAX);
	s->shares[s->share_count++] = (struct share_row){
		.hash = hash_of(s, span_of(row, (size_t)(equals - row))), .one_in = n};
	return 0;
}

static int add_shares(struct sampler *s, const char *const *rows, struct err *e)
{
	size_t count = 0;
	int r = 0;

	while (rows && rows[count])
		count++;
	s->shares = calloc(count + 1, sizeof(*s->shares));
	if (!s->shares)
		return err_set(e, -ENOMEM, "sample: out of memory");
	for (size_t i = 0; i < count && r == 0; i++)
		r = add_share(s, rows[i], e);
	return r;
}

int sampler_new(const struct sample_policy *p, struct sampler **s_out, struct err *e)
{
	struct sampler *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return err_set(e, -ENOMEM, "sample: out of memory");
	s->one_in = MAX(p->one_in, 1);
	s->rate_max = p->rate_max;
	s->first = p->first;
	s->route_slots = ROUTE_SLOTS / (p->is_of_namespace ? SPACE_SHARE : 1);
	s->service_slots = SERVICE_SLOTS / (p->is_of_namespace ? SPACE_SHARE : 1);
	r = add_shares(s, p->services, e);
	if (r == 0 && s->first && !(s->routes = calloc(s->route_slots, sizeof(*s->routes))))
		r = err_set(e, -ENOMEM, "sample: out of memory");
	if (r == 0 && s->rate_max &&
	    !(s->services = calloc(s->service_slots, sizeof(*s->services))))
		r = err_set(e, -ENOMEM, "sample: out of memory");
	if (r < 0) {
		sampler_free(s);
		return r;
	}
	*s_out = s;
	return 0;
}

void sampler_free(struct sampler *s)
{
	if (!s)
		return;
	free(s->shares);
	free(s->routes);
	free(s->services);
	free(s);
}

/* --- randomness --- */

static int hex_digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The last 56 bits of 32 hex digits. */
static bool read_randomness(struct span id, uint64_t *r)
{
	if (id.len != 32)
		return false;
	*r = 0;
	for (size_t i = 0; i < id.len; i++) {
		int digit = hex_digit(id.ptr[i]);

		if (digit < 0)
			return false;
		*r = (*r << 4 | (uint64_t)digit) & (R_COUNT - 1);
	}
	return true;
}

static uint64_t randomness(const struct exchange *x)
{
	const uint64_t place[] = {x->connection, x->sequence, x->stream, x->start_ns};
	uint64_t r;

	if (read_randomness(x->trace_id, &r))
		return r;
	/* without a key: every recorder that sees a part of the trace must come to the same */
	if (x->trace_id.len)
		return XXH3_64bits(x->trace_id.ptr, x->trace_id.len) & (R_COUNT - 1);
	return XXH3_64bits(place, sizeof(place)) & (R_COUNT - 1);
}

static bool is_above(uint64_t r, uint64_t one_in)
{
	return r >= R_COUNT - R_COUNT / one_in;
}

/* --- the first of a route, the rate of a service --- */

static uint64_t service_hash(const struct sampler *s, const struct endpoint *at)
{
	struct span name = endpoint_service(at);

	return hash_of(s, name.len ? name : span_of(at->address, sizeof(at->address)));
}

static bool is_among_first(struct sampler *s, const struct exchange *x, uint64_t service,
			   uint64_t now_ns)
{
	uint64_t hash = service ^ hash_of(s, x->route) ^ hash_of(s, x->method) * 31;
	struct route_slot *slot;

	if (!s->routes)
		return false;
	slot = &s->routes[hash % s->route_slots];
	if (slot->hash != hash || slot->minute != now_ns / MINUTE_NS)
		*slot = (struct route_slot){.hash = hash, .minute = now_ns / MINUTE_NS};
	return slot->count++ < s->first;
}

/* When a second has passed: as narrow as it would have needed. */
static void begin_second(const struct sampler *s, struct service_slot *slot, uint64_t second)
{
	uint64_t kept = slot->kept;

	if (second != slot->second + 1)
		slot->narrowing = 1; /* it was quiet */
	while (slot->narrowing > 1 && kept * 2 <= s->rate_max) {
		slot->narrowing /= 2;
		kept = MAX(kept, 1) * 2;
	}
	slot->second = second;
	slot->kept = 0;
}

static struct service_slot *find_service(struct sampler *s, uint64_t hash, uint64_t now_ns)
{
	struct service_slot *slot = s->services ? &s->services[hash % s->service_slots] : NULL;

	if (!slot)
		return NULL;
	if (slot->hash != hash || slot->narrowing == 0)
		*slot = (struct service_slot){
			.hash = hash, .second = now_ns / NS_PER_S, .narrowing = 1};
	if (slot->second != now_ns / NS_PER_S)
		begin_second(s, slot, now_ns / NS_PER_S);
	return slot;
}

/* One more is kept; too many in this second make the share narrower. */
static void count_kept(const struct sampler *s, struct service_slot *slot)
{
	if (++slot->kept < s->rate_max || slot->narrowing >= NARROWING_MAX)
		return;
	slot->narrowing *= 2;
	slot->kept /= 2; /* as if it had been so narrow from the beginning */
}

static uint64_t share_of(const struct sampler *s, uint64_t service)
{
	for (size_t i = 0; i < s->share_count; i++)
		if (s->shares[i].hash == service)
			return s->shares[i].one_in;
	return s->one_in;
}

uint32_t sampler_weigh(struct sampler *s, const struct exchange *x, uint64_t now_ns)
{
	uint64_t service, one_in;
	struct service_slot *slot;

	if (exchange_is_failed(x))
		return 1;
	service = service_hash(s, &x->dst);
	if (is_among_first(s, x, service, now_ns))
		return 1;
	slot = find_service(s, service, now_ns);
	one_in = share_of(s, service) * (slot ? slot->narrowing : 1);
	if (!is_above(randomness(x), one_in))
		return 0;
	if (slot)
		count_kept(s, slot);
	return (uint32_t)MIN(one_in, WEIGHT_MAX);
}
