// SPDX-License-Identifier: Apache-2.0
#include "wire/request_facts.h"

/* what follows scheme://authority of a target in absolute-form */
static struct span after_authority(struct span target)
{
	const uint8_t *scheme = memmem(target.ptr, MIN(target.len, (size_t)16), "://", 3), *slash;

	if (!scheme)
		return target;
	target = span_from(target, (size_t)(scheme - target.ptr) + 3);
	slash = span_chr(target, '/');
	return span_from(target, slash ? (size_t)(slash - target.ptr) : target.len);
}

/* RFC 9112 3.2: the path of origin-form and absolute-form; other forms stand for themselves */
static struct span path_of(struct span target)
{
	const uint8_t *end;

	if (target.len && target.ptr[0] != '/')
		target = after_authority(target);
	if (target.len == 0)
		return target;
	end = memchr(target.ptr, '?', target.len);
	target.len = end ? (size_t)(end - target.ptr) : target.len;
	end = span_chr(target, '#');
	return (struct span){target.ptr, end ? (size_t)(end - target.ptr) : target.len};
}

static struct span target_path(const struct http1_head *info, struct span head)
{
	struct span target = http1_span(head, info->target);

	return info->is_connect ? target : path_of(target);
}

void request_facts(struct exchange *x, const struct http1_head *info)
{
	struct span head = x->request.head;

	x->method = span_of(head.ptr, info->method_len);
	x->target = http1_span(head, info->target);
	x->host = http1_span(head, info->host);
	x->path = target_path(info, head);
	x->route = x->path;
	x->trace_id = http1_span(head, info->trace_id);
	x->replay_of = http1_span(head, info->replay_of);
}

void request_route_of(struct request_route *r, const struct http1_head *info, struct span head)
{
	struct span path = target_path(info, head);

	r->len = info->is_connect ? 0 : route_of(path, r->text);
	r->is_path = info->is_connect || span_eq(path, span_of(r->text, r->len));
}
