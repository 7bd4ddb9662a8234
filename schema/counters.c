// SPDX-License-Identifier: Apache-2.0
#include "schema/counters.h"

const struct counter_row counter_rows[COUNTER_COUNT] = {
#define COUNTER(NAME, ACCOUNT, ROLE, metric, label, what)                                          \
	{metric, label, what, COUNTER_ACCOUNT_##ACCOUNT, COUNTER_ROLE_##ROLE},
#include "schema/counters.tbl.h"
#undef COUNTER
};

const char *const counter_account_names[COUNTER_ACCOUNT_COUNT] = {
	"kernel", "packets", "bytes", "connections", "requests", "exchanges",
};

void counters_sum(struct counters *to, const struct counters *from)
{
	for (int i = 0; i < COUNTER_COUNT; i++)
		counter_add(to, (enum counter)i, counter_get(from, (enum counter)i));
}

int64_t counters_balance(const struct counters *c, enum counter_account account)
{
	int64_t balance = 0;

	for (int i = 0; i < COUNTER_COUNT; i++) {
		int64_t n = (int64_t)counter_get(c, (enum counter)i);

		if (counter_rows[i].account != account)
			continue;
		if (counter_rows[i].role == COUNTER_ROLE_IN)
			balance += n;
		else if (counter_rows[i].role != COUNTER_ROLE_NOTE)
			balance -= n;
	}
	return balance;
}
