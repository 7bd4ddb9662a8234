// SPDX-License-Identifier: Apache-2.0
#include "daemon/interfaces.h"

#include <errno.h>
#include <stdlib.h>

static size_t text_bytes(const struct setting_list *l)
{
	size_t n = 1;

	for (size_t i = 0; i < l->count; i++)
		n += strlen(l->items[i]) + 1;
	return n;
}

/* "cart:eth0" -> cart and eth0; a namespace alone: all its interfaces */
static struct capture_interface cut(char *text)
{
	char *colon = strrchr(text, ':');

	if (colon)
		*colon = '\0';
	return (struct capture_interface){.netns = text,
					  .interface = colon && colon[1] ? colon + 1 : NULL};
}

static const char *real_name(const char *interface)
{
	return strcmp(interface, "any") == 0 ? NULL : interface;
}

int interfaces_of(const struct settings *s, bool has_pods, struct interfaces *out, struct err *e)
{
	size_t count = s->interfaces.count + s->netns.count, n = 0;
	char *at;

	*out = (struct interfaces){.count = has_pods ? count : MAX(count, 1U)};
	out->items = calloc(out->count + 1, sizeof(*out->items));
	out->text = at = malloc(text_bytes(&s->netns));
	if (!out->items || !out->text) {
		interfaces_fini(out);
		return err_set(e, -ENOMEM, "interfaces: out of memory");
	}
	for (size_t i = 0; i < s->interfaces.count; i++)
		out->items[n++].interface = real_name(s->interfaces.items[i]);
	for (size_t i = 0; i < s->netns.count; i++) {
		size_t bytes = strlen(s->netns.items[i]) + 1;

		memcpy(at, s->netns.items[i], bytes);
		out->items[n++] = cut(at);
		at += bytes;
	}
	return 0;
}

void interfaces_fini(struct interfaces *i)
{
	free(i->items);
	free(i->text);
	*i = (struct interfaces){0};
}
