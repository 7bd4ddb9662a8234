// SPDX-License-Identifier: Apache-2.0
#include "schema/route_rules.h"

#include <errno.h>
#include <stdlib.h>
#include <xxhash.h>

/*
 * Theory of operation. A position is a server and the beginning of a path up to a slash. For each
 * we remember hashes of the words that were seen there. When they are ROUTE_RULES_WORDS a rule is
 * made: no program has as many resources side by side, but names of users, shops or files are
 * without end. A rule is for good: what a path is called does not change back, and the tape keeps
 * the rules, so that it does not change with a restart either.
 *
 * Rules are found by the hash of their position in an open-addressed table and compared as a whole.
 * Positions are found by hash alone: a collision of 64 bits would make a rule too early, no more.
 *
 * Nearly all routes are known ones, to which no rule applies: the hashes of those that were looked
 * at last are remembered with the number of rules at that time, so that they cost one hash.
 */
#define RULE_SLOTS   (2 * ROUTE_RULES_MAX)
#define SEEN_SLOTS   4096
#define SEGMENTS_MAX 32
#define TEXT_MAX     1024 /* a longer route is left alone */

_Static_assert((RULE_SLOTS & (RULE_SLOTS - 1)) == 0 && (SEEN_SLOTS & (SEEN_SLOTS - 1)) == 0 &&
		       (ROUTE_RULES_POSITIONS & (ROUTE_RULES_POSITIONS - 1)) == 0,
	       "tables are powers of two");

struct rule {
	uint64_t hash;
	uint8_t *text; /* owned: server, then prefix */
	size_t server_len, prefix_len;
};

struct position {
	uint64_t hash; /* 0: free */
	uint32_t count;
	uint32_t words[ROUTE_RULES_WORDS]; /* hashes */
};

struct route_rules {
	uint64_t seed;
	size_t count;
	struct rule rules[ROUTE_RULES_MAX];
	uint16_t slots[RULE_SLOTS]; /* index + 1 in rules; 0: free */
	uint64_t seen[SEEN_SLOTS];  /* routes that stay as they are */
	struct position *positions; /* owned */
	size_t position_count;
	uint8_t text[TEXT_MAX];
};

struct route_rules *route_rules_new(void)
{
	struct route_rules *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->positions = calloc(ROUTE_RULES_POSITIONS, sizeof(*r->positions));
	if (!r->positions) {
		free(r);
		return NULL;
	}
	return r;
}

void route_rules_free(struct route_rules *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < r->count; i++)
		free(r->rules[i].text);
	free(r->positions);
	free(r);
}

/* --- rules --- */

static uint64_t hash_of(struct span server, struct span text)
{
	uint64_t h = XXH3_64bits_withSeed(text.ptr, text.len, XXH3_64bits(server.ptr, server.len));

	return h ? h : 1;
}

static bool is_rule(const struct rule *rule, uint64_t hash, struct span server, struct span prefix)
{
	return rule->hash == hash && span_eq(server, span_of(rule->text, rule->server_len)) &&
	       span_eq(prefix, span_of(rule->text + rule->server_len, rule->prefix_len));
}

/* The slot that holds the rule, or the free one where it belongs. */
static uint16_t *rule_slot(struct route_rules *r, uint64_t hash, struct span server,
			   struct span prefix)
{
	size_t i = hash & (RULE_SLOTS - 1);

	while (r->slots[i] && !is_rule(&r->rules[r->slots[i] - 1], hash, server, prefix))
		i = (i + 1) & (RULE_SLOTS - 1);
	return &r->slots[i];
}

int route_rules_add(struct route_rules *r, struct span server, struct span prefix)
{
	uint64_t hash = hash_of(server, prefix);
	uint16_t *slot = rule_slot(r, hash, server, prefix);
	struct rule rule = {hash, NULL, server.len, prefix.len};

	if (*slot)
		return 0;
	if (r->count == ROUTE_RULES_MAX)
		return -E2BIG;
	rule.text = malloc(server.len + prefix.len + 1);
	if (!rule.text)
		return -ENOMEM;
	if (server.len)
		memcpy(rule.text, server.ptr, server.len);
	if (prefix.len)
		memcpy(rule.text + server.len, prefix.ptr, prefix.len);
	r->rules[r->count] = rule;
	*slot = (uint16_t)++r->count;
	return 0;
}

size_t route_rules_count(const struct route_rules *r)
{
	return r->count;
}

void route_rules_get(const struct route_rules *r, size_t which, struct span *server,
		     struct span *prefix)
{
	const struct rule *rule = &r->rules[which];

	*server = span_of(rule->text, rule->server_len);
	*prefix = span_of(rule->text + rule->server_len, rule->prefix_len);
}

/* --- what is observed --- */

static struct position *position_of(struct route_rules *r, uint64_t hash)
{
	size_t i = (hash >> 8) & (ROUTE_RULES_POSITIONS - 1);

	while (r->positions[i].hash && r->positions[i].hash != hash)
		i = (i + 1) & (ROUTE_RULES_POSITIONS - 1);
	if (r->positions[i].hash)
		return &r->positions[i];
	if (r->position_count > ROUTE_RULES_POSITIONS / 4 * 3) {
		memset(r->positions, 0, ROUTE_RULES_POSITIONS * sizeof(*r->positions));
		r->position_count = 0;
		i = (hash >> 8) & (ROUTE_RULES_POSITIONS - 1);
	}
	r->position_count++;
	r->positions[i].hash = hash;
	return &r->positions[i];
}

/* Note a word. Return: there are as many as a variable position has. */
static bool observe(struct position *p, struct span word)
{
	uint32_t hash = (uint32_t)XXH3_64bits(word.ptr, word.len);

	for (uint32_t i = 0; i < p->count; i++)
		if (p->words[i] == hash)
			return false;
	if (p->count < ROUTE_RULES_WORDS)
		p->words[p->count++] = hash;
	return p->count == ROUTE_RULES_WORDS;
}

static bool is_variable(struct route_rules *r, struct span server, struct span prefix,
			struct span word, bool is_learning)
{
	uint64_t hash = hash_of(server, prefix);

	if (*rule_slot(r, hash, server, prefix))
		return true;
	if (!is_learning || r->count == ROUTE_RULES_MAX || !observe(position_of(r, hash), word))
		return false;
	return route_rules_add(r, server, prefix) == 0;
}

/* --- routes --- */

static bool is_hole(struct span word)
{
	return word.len == 0 || span_find(word, SPAN_LIT("{}"));
}

/* The segments one after another into r->text. Return: its length. */
static size_t rewrite(struct route_rules *r, struct span server, struct span route,
		      bool is_learning, bool *is_changed)
{
	size_t n = 0;

	for (unsigned i = 0; route.len; i++) {
		const uint8_t *slash = memchr(route.ptr + 1, '/', route.len - 1);
		size_t len = slash ? (size_t)(slash - route.ptr) : route.len;
		struct span word = span_of(route.ptr + 1, len - 1);

		r->text[n++] = '/';
		if (i < SEGMENTS_MAX && !is_hole(word) &&
		    is_variable(r, server, span_of(r->text, n), word, is_learning)) {
			word = SPAN_LIT("{}");
			*is_changed = true;
		}
		memcpy(r->text + n, word.ptr, word.len);
		n += word.len;
		route = span_from(route, len);
	}
	return n;
}

static struct span route_by(struct route_rules *r, struct span server, struct span route,
			    bool is_learning)
{
	uint64_t hash;
	uint64_t *seen;
	bool is_changed = false;
	size_t n;

	if (route.len == 0 || route.ptr[0] != '/' || route.len > TEXT_MAX / 3)
		return route;
	hash = hash_of(server, route) + r->count;
	seen = &r->seen[hash & (SEEN_SLOTS - 1)];
	if (*seen == hash)
		return route;
	n = rewrite(r, server, route, is_learning, &is_changed);
	if (is_changed)
		return span_of(r->text, n);
	*seen = hash;
	return route;
}

struct span route_rules_learn(struct route_rules *r, struct span server, struct span route)
{
	return route_by(r, server, route, true);
}

struct span route_rules_apply(struct route_rules *r, struct span server, struct span route)
{
	return route_by(r, server, route, false);
}
