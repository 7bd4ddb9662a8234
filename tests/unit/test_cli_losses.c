// SPDX-License-Identifier: Apache-2.0
#include "schema/counters.h"
#include "schema/settings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static const char *const keys[] = {
#define SETTING(field, key, TYPE, def, min, max, reload, what) key,
#include "schema/settings.tbl.h"
#undef SETTING
};

static const struct {
	uint8_t counter;
	const char *setting;
} losses[] = {
#define LOSS(NAME, LEVEL, setting, advice) {COUNTER_##NAME, setting},
#include "cli/losses.tbl.h"
#undef LOSS
};

static void advice_names_settings_that_exist(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(losses); i++) {
		bool is_known = losses[i].setting[0] == '\0';

		for (size_t k = 0; k < COUNT_OF(keys); k++)
			is_known |= strcmp(keys[k], losses[i].setting) == 0;
		if (!is_known)
			fail_msg("there is no setting %s", losses[i].setting);
	}
}

/* every way out that loses something must have its advice */
static void every_loss_has_its_advice(void **state)
{
	static const char *const lossy[] = {"kernel_drop", "memory",	 "no_flow",    "queue_full",
					    "linktype",	   "store_full", "store_error"};

	(void)state;
	for (unsigned c = 0; c < COUNTER_COUNT; c++) {
		bool is_loss = false, is_advised = false;

		for (size_t i = 0; i < COUNT_OF(lossy); i++)
			is_loss |= strcmp(counter_rows[c].label, lossy[i]) == 0;
		for (size_t i = 0; i < COUNT_OF(losses); i++)
			is_advised |= losses[i].counter == c;
		if (is_loss && !is_advised)
			fail_msg("%s %s has no row in cli/losses.tbl.h", counter_rows[c].metric,
				 counter_rows[c].label);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(advice_names_settings_that_exist),
		cmocka_unit_test(every_loss_has_its_advice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
