// SPDX-License-Identifier: Apache-2.0
#include "schema/counters.h"

#include "lib/json.h"

const struct counter_row counter_rows[COUNTER_COUNT] = {
#define COUNTER(NAME, ACCOUNT, ROLE, metric, label, what)                                          \
	{metric, label, what, COUNTER_ACCOUNT_##ACCOUNT, COUNTER_ROLE_##ROLE},
#include "schema/counters.tbl.h"
#undef COUNTER
};

const char *const counter_account_names[COUNTER_ACCOUNT_COUNT] = {
	"kernel", "packets", "bytes", "connections", "requests", "exchanges",
};

static const char *const role_names[] = {"in", "out", "held", "note"};

void counters_sum(struct counters *to, const struct counters *from)
{
	for (int i = 0; i < COUNTER_COUNT; i++)
		counter_add(to, (enum counter)i, counter_get(from, (enum counter)i));
}

static uint64_t sum_of(const struct counters *c, enum counter_account account,
		       enum counter_role role)
{
	uint64_t n = 0;

	for (int i = 0; i < COUNTER_COUNT; i++)
		if (counter_rows[i].account == account && counter_rows[i].role == role)
			n += counter_get(c, (enum counter)i);
	return n;
}

int64_t counters_balance(const struct counters *c, enum counter_account account)
{
	return (int64_t)(sum_of(c, account, COUNTER_ROLE_IN) -
			 sum_of(c, account, COUNTER_ROLE_OUT) -
			 sum_of(c, account, COUNTER_ROLE_HELD));
}

static void counter_to_json(struct json *j, enum counter i, uint64_t value)
{
	const struct counter_row *row = &counter_rows[i];

	json_object_begin(j);
	json_key_str(j, "metric", row->metric);
	json_key_str(j, "label", row->label);
	json_key_str(j, "account", counter_account_names[row->account]);
	json_key_str(j, "role", role_names[row->role]);
	json_key_u64(j, "value", value);
	json_object_end(j);
}

static void account_to_json(struct json *j, const struct counters *c, enum counter_account account)
{
	json_object_begin(j);
	json_key_str(j, "account", counter_account_names[account]);
	json_key_u64(j, "in", sum_of(c, account, COUNTER_ROLE_IN));
	json_key_u64(j, "out", sum_of(c, account, COUNTER_ROLE_OUT));
	json_key_u64(j, "held", sum_of(c, account, COUNTER_ROLE_HELD));
	json_key(j, "balance");
	json_i64(j, counters_balance(c, account));
	json_object_end(j);
}

void counters_to_json(struct json *j, const struct counters *c)
{
	json_key(j, "counters");
	json_array_begin(j);
	for (int i = 0; i < COUNTER_COUNT; i++)
		counter_to_json(j, (enum counter)i, counter_get(c, (enum counter)i));
	json_array_end(j);
	json_key(j, "accounts");
	json_array_begin(j);
	for (int i = 0; i < COUNTER_ACCOUNT_COUNT; i++)
		account_to_json(j, c, (enum counter_account)i);
	json_array_end(j);
}
