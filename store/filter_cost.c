// SPDX-License-Identifier: Apache-2.0
#include "store/filter_tree.h"

/*
 * Theory of operation
 *
 * Which of the conditions joined by && or || is judged first changes nothing but the time: none can
 * fail, and none has an effect. So they are sorted by what they cost at worst, roughly in
 * nanoseconds: a column, a search in one, a walk through a head, a body that must be decoded. Equal
 * ones keep their order.
 */

#define COST_COLUMN  10
#define COST_REGEX   500
#define COST_HEAD    1000
#define COST_BODY    20000
#define COST_JSON    40000
#define COST_SEARCH  80000
#define COST_MAX     10000000
#define EACH_ENTRIES 8 /* entries that a list is thought to have */

static unsigned node_cost(const struct node *n);

static unsigned operand_cost(const struct operand *o)
{
	if (o->kind == OPERAND_FIELD)
		return COST_COLUMN;
	if (o->kind == OPERAND_BODY)
		return COST_BODY;
	return COST_HEAD;
}

static unsigned expr_cost(const struct expr *x)
{
	unsigned cost = COST_COLUMN;

	if (!x)
		return 0;
	if (x->kind == EXPR_OPERAND || x->kind == EXPR_NAMES)
		cost = operand_cost(&x->operand);
	if (x->kind == EXPR_JSON)
		cost = COST_JSON;
	cost += expr_cost(x->a) + expr_cost(x->b);
	if (x->condition)
		cost += node_cost(x->condition);
	return MIN(cost, (unsigned)COST_MAX);
}

static unsigned test_cost(const struct node *n)
{
	unsigned cost = operand_cost(&n->left) + (n->has_right ? operand_cost(&n->right) : 0);

	return cost + (unsigned)MIN(n->value_count, (size_t)FILTER_LIST_MAX);
}

static unsigned node_cost(const struct node *n)
{
	unsigned cost = expr_cost(n->a) + expr_cost(n->b), children = 0;

	if (n->kind == NODE_SEARCH)
		return COST_SEARCH;
	if (n->kind == NODE_TEST)
		cost += n->op == OP_FAILED ? 1 : test_cost(n);
	if (n->regex)
		cost += COST_REGEX;
	for (const struct node *c = n->first; c && children < COST_MAX; c = c->next)
		children += node_cost(c);
	if (n->a) /* exists() and its like */
		children *= EACH_ENTRIES;
	return MIN(cost + children, (unsigned)COST_MAX);
}

/* Insertion into a list that is sorted: few children, and mostly in order already. */
static void insert(struct node **list, struct node *n, unsigned cost)
{
	while (*list && node_cost(*list) <= cost)
		list = &(*list)->next;
	n->next = *list;
	*list = n;
}

static void sort_children(struct node *n)
{
	struct node *sorted = NULL, *c = n->first;

	while (c) {
		struct node *next = c->next;

		insert(&sorted, c, node_cost(c));
		c = next;
	}
	n->first = sorted;
	for (n->last = sorted; n->last && n->last->next;)
		n->last = n->last->next;
}

void filter_order_by_cost(struct node *n)
{
	for (struct node *c = n->first; c; c = c->next)
		filter_order_by_cost(c);
	if ((n->kind == NODE_AND || n->kind == NODE_OR) && n->first)
		sort_children(n);
}
