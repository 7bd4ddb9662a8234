// SPDX-License-Identifier: Apache-2.0
#include "record/awaited.h"

#include <stdlib.h>

/*
 * Theory of operation. An end waits when the API server may come to know better: it is not known, known
 * from before the server went away, one of several, or known by what the node itself saw of its pod.
 * The recorder gives it a while: from its first exchange to the end of its minute (of four minutes, once
 * the server has been away for some). All its exchanges of that while share one row on the tape, so a name
 * is one row to change, and a row is split only where the address changed hands within the while.
 *
 * What waits lies on the tape (store/late.h), also after a restart; here is only what keeps it within
 * bounds: the whiles that are open, by address (a table by hash in which a newcomer pushes out whoever is
 * there, which costs a row), and how many were begun in this minute and wait in all.
 *
 * The tape is gone through when a census has come, a bounded part at a time, and else now and then. A
 * name is final when the server was there and said it for certain, or when it has had the time to say
 * something and did not.
 */
#define MINUTE_NS    (60 * NS_PER_S)
#define LONG_MINUTES 4		       /* a while, and when whiles become so long */
#define GRACE_NS     (30 * NS_PER_S)   /* so long after its while nobody hears of a pod any more */
#define LOOK_NS	     (10 * NS_PER_S)   /* between two looks without a new census */
#define PART_NS	     (100 * NS_PER_MS) /* between two parts of one look */
#define PART_ROWS    512
#define LAST_PARTS   32	  /* of the look at the end */
#define SLOTS	     4096 /* a power of two */
#define BEGUN_MAX    4096 /* whiles in a minute */
#define WAITING_MAX  65536

struct slot {
	uint8_t address[16];
	uint16_t port;
	uint64_t since_ns, until_ns; /* 0: free */
};

struct awaited {
	struct counters *counters;
	bool is_due;	       /* a census has come, or nobody has looked at the tape yet */
	bool is_looking;       /* part of the tape has been looked at */
	uint64_t look_ns;      /* when to look again without one [monotonic] */
	uint64_t part_ns;      /* not before [monotonic] */
	uint64_t waiting;      /* on the tape, as of the last whole look, and begun since */
	uint64_t found, fresh; /* by the look that is under way; begun since it began */
	uint64_t begun, begun_minute;
	struct slot slots[SLOTS];
	/* of the look that is under way */
	const struct census *census;
	uint64_t wall_ns;
};

struct awaited *awaited_new(struct counters *counters)
{
	struct awaited *a = calloc(1, sizeof(*a));

	if (a) {
		a->counters = counters;
		a->is_due = true;
	}
	return a;
}

void awaited_free(struct awaited *a)
{
	free(a);
}

void awaited_census(struct awaited *a, const struct census *c)
{
	a->is_due |= c != NULL;
}

/* --- who waits --- */

/* What the node saw of a pod, without what the API server knows of it. */
static bool is_of_node(const struct identity *who)
{
	return who->source == IDENTITY_INTERFACE || who->source == IDENTITY_RUNTIME ||
	       who->source == IDENTITY_CGROUP;
}

static bool may_improve(const struct identity *who, const struct census *census)
{
	if (who->source == IDENTITY_NONE || is_of_node(who) ||
	    who->certainty == CERTAINTY_AMBIGUOUS)
		return true;
	return who->source == IDENTITY_API && who->certainty == CERTAINTY_INFERRED &&
	       (!census || census_is_lost(census));
}

static struct slot *slot_of(struct awaited *a, const struct endpoint *end, uint16_t port)
{
	uint64_t hash = port;

	for (size_t i = 0; i < sizeof(end->address); i++)
		hash = (hash ^ end->address[i]) * UINT64_C(0x100000001b3);
	return &a->slots[(hash ^ hash >> 29) % SLOTS];
}

static bool is_open(const struct slot *s, const struct endpoint *end, uint16_t port,
		    uint64_t time_ns)
{
	return s->until_ns && s->port == port && time_ns >= s->since_ns && time_ns < s->until_ns &&
	       memcmp(s->address, end->address, sizeof(s->address)) == 0;
}

/* Return: false when too many wait. */
static bool begin(struct awaited *a, struct slot *s, const struct endpoint *end, uint16_t port,
		  uint64_t time_ns, const struct census *census)
{
	uint64_t minute = time_ns / MINUTE_NS, lost_ns = census ? census_lost_ns(census) : 0;
	bool is_long = lost_ns && time_ns > lost_ns + LONG_MINUTES * MINUTE_NS;

	if (minute != a->begun_minute) {
		a->begun_minute = minute;
		a->begun = 0;
	}
	if (a->begun >= BEGUN_MAX || a->waiting >= WAITING_MAX) {
		counter_add(a->counters, COUNTER_NAMES_NOT_AWAITED, 1);
		return false;
	}
	a->begun++;
	a->fresh++;
	a->waiting++;
	*s = (struct slot){.port = port,
			   .since_ns = time_ns,
			   .until_ns =
				   is_long ? (minute / LONG_MINUTES + 1) * LONG_MINUTES * MINUTE_NS
					   : (minute + 1) * MINUTE_NS};
	memcpy(s->address, end->address, sizeof(s->address));
	return true;
}

void awaited_note(struct awaited *a, struct endpoint *end, bool is_client, uint64_t time_ns,
		  const struct census *census)
{
	uint16_t port = is_client ? 0 : end->port;
	struct slot *s = slot_of(a, end, port);

	if (!may_improve(&end->who, census) || time_ns > INT64_MAX)
		return;
	if (!is_open(s, end, port, time_ns) && !begin(a, s, end, port, time_ns, census))
		return;
	end->who.since_ns = s->since_ns;
	end->who.until_ns = s->until_ns;
}

/* --- what becomes of them --- */

static bool is_same(const struct identity *a, const struct identity *b)
{
	struct identity x = *a, y = *b;
	struct span *text;

	for (size_t i = 0; (text = identity_text(&x, i)); i++)
		if (!span_eq(*text, *identity_text(&y, i)))
			return false;
	return a->source == b->source && a->certainty == b->certainty;
}

/* A pod that the node knew is that pod; an address is whose it was. */
static const struct identity *ask_census(const struct census *c, const struct endpoint *at,
					 uint64_t time_ns, uint64_t *until_ns)
{
	*until_ns = UINT64_MAX;
	if (at->who.pod_uid.len && is_of_node(&at->who))
		return census_find_uid(c, at->who.pod_uid);
	*until_ns = census_holds_until(c, at, time_ns);
	return census_find(c, at, time_ns);
}

static bool is_better(const struct identity *who, const struct identity *than, bool is_lost)
{
	if (!who || is_same(who, than))
		return false;
	if (than->source == IDENTITY_NONE || than->certainty == CERTAINTY_AMBIGUOUS ||
	    is_of_node(than))
		return who->certainty != CERTAINTY_AMBIGUOUS || than->source == IDENTITY_NONE;
	return !is_lost; /* inferred before: by now it is known whose it was */
}

static struct late_answer tell(void *ctx, const struct endpoint *at, uint64_t time_ns)
{
	const struct awaited *a = ctx;
	bool is_lost = census_is_lost(a->census);
	struct late_answer answer;
	const struct identity *who = ask_census(a->census, at, time_ns, &answer.until_ns);

	answer.who = is_better(who, &at->who, is_lost) ? who : NULL;
	answer.is_final = !is_lost && ((who && who->certainty == CERTAINTY_CERTAIN) ||
				       at->who.until_ns + GRACE_NS < a->wall_ns);
	return answer;
}

/* A store that fails tells so when it commits; here it is asked again some time later. */
static bool look_at_part(struct awaited *a, struct store *store)
{
	const struct late_config config = {
		.ask = tell, .ctx = a, .rows_max = PART_ROWS, .is_away = census_is_lost(a->census)};
	struct late_result result;

	if (store_name_late(store, &config, &result, NULL) < 0)
		return false;
	counter_add(a->counters, COUNTER_NAMES_LATE, result.named);
	counter_add(a->counters, COUNTER_NAMES_NEVER, result.never);
	a->found += result.waiting;
	return result.has_more;
}

static bool may_begin(const struct awaited *a, uint64_t mono_ns)
{
	return a->is_due || (a->waiting && mono_ns >= a->look_ns);
}

static void begin_look(struct awaited *a)
{
	a->is_looking = true;
	a->is_due = false;
	a->found = a->fresh = 0;
}

static void end_look(struct awaited *a, uint64_t mono_ns)
{
	a->is_looking = false;
	a->waiting = a->found + a->fresh;
	a->look_ns = mono_ns + LOOK_NS;
}

static uint64_t next_ns(const struct awaited *a, uint64_t mono_ns)
{
	uint64_t at = a->is_looking || a->is_due ? a->part_ns : a->look_ns;

	if (!a->is_looking && !a->is_due && !a->waiting)
		return UINT64_MAX;
	return at > mono_ns ? at - mono_ns : 1;
}

uint64_t awaited_look(struct awaited *a, struct store *store, const struct census *census,
		      uint64_t wall_ns, uint64_t mono_ns)
{
	if (!census)
		return UINT64_MAX;
	if (mono_ns < a->part_ns || (!a->is_looking && !may_begin(a, mono_ns)))
		return next_ns(a, mono_ns);
	if (!a->is_looking)
		begin_look(a);
	a->census = census;
	a->wall_ns = wall_ns;
	a->part_ns = mono_ns + PART_NS;
	if (!look_at_part(a, store))
		end_look(a, mono_ns);
	return next_ns(a, mono_ns);
}

void awaited_finish(struct awaited *a, struct store *store, const struct census *census,
		    uint64_t wall_ns)
{
	unsigned parts = census && (a->is_due || a->waiting) ? LAST_PARTS : 0;

	a->census = census;
	a->wall_ns = wall_ns;
	while (parts-- && look_at_part(a, store))
		;
}
