// SPDX-License-Identifier: Apache-2.0
/*
 * A TapConfig as an API server hands it over, one or two lines: whatever it says, it is accepted or refused at a place, its
 * status can be written, and what it asks for can be done.
 */
#include <assert.h>
#include <stdlib.h>

#include "kube/client.h"
#include "kube/tapstatus.h"
#include "record/tapconfigs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CONFIGS_MAX 4

struct heard {
	struct tapconfig *configs[CONFIGS_MAX];
	size_t count;
};

static void check_status(const json_t *object, const struct fault *f)
{
	uint64_t generation;
	json_t *status = json_object_get(object, "status"),
	       *applied = tapstatus_applied(status, &generation);
	struct tapreport r = {.node = "n1",
			      .generation = 2,
			      .fault = f,
			      .applied = applied,
			      .applied_generation = generation,
			      .pods = 1};
	json_t *patch = tapstatus_patch(status, "1", &r, NS_PER_S);

	assert(patch);
	if (json_is_object(json_object_get(patch, "status")))
		assert(tapstatus_need(json_object_get(patch, "status"), &r) == TAPSTATUS_FINE);
	(void)tapstatus_exchanges(status, "n1");
	json_decref(patch);
	json_decref(applied);
}

static int take_line(void *ctx, struct span line)
{
	const struct tapspec_retention node = {86400 * NS_PER_S, 0, 0};
	struct tapconfig_counts *counts = tapconfig_counts_new();
	struct heard *h = ctx;
	json_t *root = json_loadb((const char *)line.ptr, line.len, 0, NULL);
	struct tapspec *s = NULL;
	struct fault f = {0};
	int failed = tapspec_parse(json_object_get(root, "spec"), &s, &f);

	if (failed == 0) {
		(void)!tapspec_check_keep(s, &node, &f);
		f = (struct fault){0};
		failed = h->count < CONFIGS_MAX
				 ? tapconfig_new(s, "shop", counts, &h->configs[h->count], &f)
				 : 0;
		if (h->count == CONFIGS_MAX)
			tapspec_free(s);
		else if (failed == 0)
			h->count++;
	}
	assert((failed == 0) == (f.err.code == 0));
	check_status(root, failed < 0 ? &f : NULL);
	tapconfig_counts_unref(counts);
	json_decref(root);
	return 0;
}

#define HEAD                                                                                       \
	"GET /cart?voucher=one&token=x HTTP/1.1\r\nHost: cart\r\nX-Account: two\r\nCookie: "       \
	"a=b\r\n\r\n"
#define ANSWER "HTTP/1.1 500 No\r\nX-Account: three\r\nContent-Type: text/plain\r\n\r\n"

static void ask(struct tapconfigs *t)
{
	AUTO(filter_scratch) scratch = filter_scratch_new();
	struct exchange x = {.status = 500,
			     .outcome = OUTCOME_SERVER_ERROR,
			     .method = SPAN_LIT("GET"),
			     .path = SPAN_LIT("/cart")},
			*masked;
	size_t secrets;
	uint32_t weight;

	x.dst.who = (struct identity){.name_space = SPAN_LIT("shop"),
				      .pod = SPAN_LIT("a"),
				      .labels = SPAN_LIT("{\"app\":\"cart\"}"),
				      .source = IDENTITY_API};
	x.request =
		(struct message){.head = SPAN_LIT(HEAD), .flags = MESSAGE_PRESENT, .version = 11};
	x.response =
		(struct message){.head = SPAN_LIT(ANSWER), .flags = MESSAGE_PRESENT, .version = 11};
	masked = tapconfigs_redact(t, &x, &secrets);
	assert(masked);
	if (tapconfigs_judge(t, scratch, masked, NS_PER_S, &weight) == TAPCONFIGS_WANTED)
		tapconfigs_recorded(t);
	(void)tapconfigs_take_limits(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t key[32] = {1};
	struct heard h = {0};
	struct kube_lines lines = {0};
	struct tapconfigs *t;

	(void)kube_lines_add(&lines, span_of(data, size), take_line, &h);
	(void)kube_lines_add(&lines, SPAN_LIT("\n"), take_line, &h);
	t = tapconfigs_new(h.configs, h.count, key);
	assert(t);
	ask(t);
	tapconfigs_free(t);
	for (size_t i = 0; i < h.count; i++)
		tapconfig_unref(h.configs[i]);
	kube_lines_fini(&lines);
	return 0;
}
