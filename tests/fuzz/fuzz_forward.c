// SPDX-License-Identifier: Apache-2.0
/* What an API server says of a forwarded port, cut anywhere, is read as when it comes whole; a reference's text survives. */
#include <assert.h>
#include <stdlib.h>

#include "kube/backend.h"
#include "kube/channels.h"
#include "kube/upgrade.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum kube_channels_event read_all(struct kube_channels *c, struct span bytes, size_t step,
					 struct buf *out)
{
	enum kube_channels_event event = KUBE_CHANNELS_MORE;

	for (size_t at = 0; at < bytes.len && event == KUBE_CHANNELS_MORE; at += step) {
		struct span rest = span_of(bytes.ptr + at, MIN(step, bytes.len - at)), piece = {0};

		while ((event = kube_channels_read(c, &rest, &piece)) == KUBE_CHANNELS_DATA)
			buf_add_span(out, piece);
	}
	return event;
}

static void read_channels(struct span bytes)
{
	struct kube_channels whole = {0}, cut = {0};
	AUTO_BUF a = {0};
	AUTO_BUF b = {0};
	enum kube_channels_event at_once = read_all(&whole, bytes, bytes.len, &a);
	enum kube_channels_event in_pieces = read_all(&cut, bytes, 1 + bytes.ptr[0] % 7, &b);

	assert(at_once == in_pieces && a.len == b.len && whole.error.len == cut.error.len);
	assert(a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
	assert(whole.error.len <= KUBE_CHANNELS_ERROR_MAX);
	kube_channels_fini(&whole);
	kube_channels_fini(&cut);
}

static void read_answer(struct span bytes)
{
	struct kube_upgrade u;

	(void)!kube_upgrade_read(bytes, false, "dGhlIHNhbXBsZSBub25jZQ==", KUBE_CHANNELS_PROTOCOL,
				 &u);
	assert(kube_upgrade_read(bytes, true, "dGhlIHNhbXBsZSBub25jZQ==", KUBE_CHANNELS_PROTOCOL,
				 &u) != KUBE_UPGRADE_MORE);
	for (const char *c = u.message; *c; c++)
		assert((unsigned char)*c >= ' ' && *c != 0x7f);
}

static void read_reference(struct span bytes)
{
	struct kube_reference ref, again;
	char *text = strndup((const char *)bytes.ptr, bytes.len);
	AUTO_BUF out = {0};

	if (text && kube_reference_parse(text, &ref, NULL) == 0) {
		buf_add_fmt(&out, "%s/%s%s%s", kube_resource(ref.kind)->word, ref.name,
			    *ref.name_space ? "." : "", ref.name_space);
		if (*ref.name_space || ref.kind == KUBE_SERVICE || !strchr(ref.name, '.'))
			assert(kube_reference_parse(buf_cstr(&out), &again, NULL) == 0 &&
			       strcmp(again.name, ref.name) == 0);
		assert(!strpbrk(ref.name, "/%?# ") && !strpbrk(ref.name_space, "/%?#. ") &&
		       !strpbrk(ref.port_name, "/%?# "));
	}
	free(text);
}

static void read_objects(struct span bytes)
{
	json_t *root = json_loadb((const char *)bytes.ptr, bytes.len, 0, NULL);

	for (unsigned kind = KUBE_SERVICE; root && kind <= KUBE_DEPLOYMENT; kind++) {
		struct kube_backend b = {
			.reference = {.kind = (uint8_t)kind}, .port = 80, .port_name = "http"};
		struct kube_offers offers;

		kube_offers_of(root, kind == KUBE_SERVICE, &offers);
		assert(kube_backend_update(&b, root) == 0);
		for (size_t i = 0; i < b.pod_count; i++)
			assert(b.pods[i].port && !strpbrk(b.pods[i].name, "/%?# "));
		kube_backend_fini(&b);
	}
	json_decref(root);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const readers[])(struct span) = {read_channels, read_answer, read_reference,
						       read_objects};

	if (size > 1)
		readers[data[0] % COUNT_OF(readers)](span_of(data + 1, size - 1));
	return 0;
}
