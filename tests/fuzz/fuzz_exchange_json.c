// SPDX-License-Identifier: Apache-2.0
/* fuzz_exchange_json.c - any text: refused, or an exchange whose exact JSON reads back to the same
 * JSON */
#include "schema/exchange_json.h"

#include <stdlib.h>

#include "schema/message.h"
#include "store/format_curl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void write_exact(struct buf *out, const struct exchange *x)
{
	struct json j = json_to(out);

	exchange_to_json(&j, x, EXCHANGE_JSON_EXACT);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_BUF once = {0}, again = {0}, other = {0};
	struct exchange x, back;
	void *memory, *back_memory;
	struct err e;

	if (exchange_from_json(span_of(data, size), &x, &memory, &e) < 0)
		return 0;
	write_exact(&once, &x);
	if (exchange_from_json(buf_span(&once), &back, &back_memory, &e) < 0)
		abort();
	write_exact(&again, &back);
	if (!span_eq(buf_span(&once), buf_span(&again)))
		abort();
	(void)message_write(&x.request, &other);
	format_curl(&x, NULL, &other);
	free(memory);
	free(back_memory);
	return 0;
}
