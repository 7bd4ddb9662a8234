// SPDX-License-Identifier: Apache-2.0
#include "store/failure_json.h"

#include <errno.h>
#include <jansson.h>

#include "lib/clock.h"
#include "lib/id.h"

static void put_side(struct json *j, const char *key, struct span service, struct span name_space)
{
	json_key(j, key);
	json_object_begin(j);
	json_key_text(j, "service", service);
	json_key_text(j, "namespace", name_space);
	json_object_end(j);
}

static void put_rate(struct json *j, const struct failure *f)
{
	json_key(j, "rate");
	json_object_begin(j);
	json_key(j, "since");
	json_time(j, f->points_ns);
	json_key_u64(j, "step_ns", f->step_ns);
	json_key_counts(j, "counts", f->points, f->point_count);
	json_object_end(j);
}

void failure_to_json(struct json *j, const struct failure *f)
{
	char id[ID_TEXT_LEN + 1];

	json_object_begin(j);
	json_key_u64(j, "count", f->count);
	json_key(j, "first");
	json_time(j, f->first_ns);
	json_key(j, "last");
	json_time(j, f->last_ns);
	put_side(j, "src", f->src_service, f->src_namespace);
	put_side(j, "dst", f->dst_service, f->dst_namespace);
	json_key_text(j, "method", f->method);
	json_key_text(j, "route", f->route);
	json_key_u64(j, "status", f->status);
	json_key_str(j, "outcome", outcome_name(f->outcome));
	json_key_str(j, "reason", reason_name(f->reason));
	if (f->grpc_status >= 0)
		json_key_u64(j, "grpc_status", (uint64_t)f->grpc_status);
	if (f->close_code)
		json_key_u64(j, "close_code", f->close_code);
	json_key_text(j, "error", f->error);
	json_key_str(j, "exemplar", id_format(f->exemplar, id));
	put_rate(j, f);
	json_object_end(j);
}

/* what is missing, or is no text, reads as empty */
static struct span text_of(const json_t *object, const char *key)
{
	const json_t *v = json_object_get(object, key);

	return json_is_string(v) ? span_of(json_string_value(v), json_string_length(v))
				 : (struct span){0};
}

static bool read_number(const json_t *object, const char *key, uint64_t max, uint64_t *out)
{
	const json_t *v = json_object_get(object, key);

	if (!json_is_integer(v) || json_integer_value(v) < 0 ||
	    (uint64_t)json_integer_value(v) > max)
		return false;
	*out = (uint64_t)json_integer_value(v);
	return true;
}

/* what stands there only where its protocol was spoken */
static bool read_optional(const json_t *object, const char *key, uint64_t max, uint64_t *out)
{
	return !json_object_get(object, key) || read_number(object, key, max, out);
}

static bool read_codes(const json_t *v, struct failure *f)
{
	uint64_t grpc_status = UINT64_MAX, close_code = 0;

	if (!read_optional(v, "grpc_status", INT16_MAX, &grpc_status) ||
	    !read_optional(v, "close_code", UINT16_MAX, &close_code))
		return false;
	f->grpc_status = (int16_t)(grpc_status == UINT64_MAX ? -1 : (int)grpc_status);
	f->close_code = (uint16_t)close_code;
	return true;
}

/* A daemon of an earlier version says nothing of it. */
static bool read_rate(const json_t *rate, struct failure *f)
{
	const json_t *counts = json_object_get(rate, "counts"), *v;
	size_t i;

	if (!rate)
		return true;
	if (!json_is_array(counts) || json_array_size(counts) > FAILURE_POINTS ||
	    clock_parse(text_of(rate, "since"), 0, &f->points_ns) < 0 ||
	    !read_number(rate, "step_ns", INT64_MAX, &f->step_ns))
		return false;
	f->point_count = json_array_size(counts);
	json_array_foreach(counts, i, v)
	{
		if (!json_is_integer(v) || json_integer_value(v) < 0)
			return false;
		f->points[i] = (uint64_t)json_integer_value(v);
	}
	return true;
}

static bool read_failure(const json_t *v, struct failure *f)
{
	const json_t *src = json_object_get(v, "src"), *dst = json_object_get(v, "dst");
	int outcome = outcome_parse(text_of(v, "outcome"));
	int reason = reason_parse(text_of(v, "reason"));
	uint64_t status;
	unsigned bits;

	*f = (struct failure){
		.src_service = text_of(src, "service"),
		.src_namespace = text_of(src, "namespace"),
		.dst_service = text_of(dst, "service"),
		.dst_namespace = text_of(dst, "namespace"),
		.method = text_of(v, "method"),
		.route = text_of(v, "route"),
		.error = text_of(v, "error"),
	};
	if (outcome < 0 || reason < 0 || !read_codes(v, f) ||
	    !read_rate(json_object_get(v, "rate"), f) ||
	    !read_number(v, "status", UINT16_MAX, &status) ||
	    !read_number(v, "count", INT64_MAX, &f->count) ||
	    id_parse(text_of(v, "exemplar"), &f->exemplar, &bits) < 0 ||
	    clock_parse(text_of(v, "first"), 0, &f->first_ns) < 0 ||
	    clock_parse(text_of(v, "last"), 0, &f->last_ns) < 0)
		return false;
	f->status = (uint16_t)status;
	f->outcome = (uint8_t)outcome;
	f->reason = (uint8_t)reason;
	return true;
}

int failures_from_json(struct span text, reader_failure_fn *fn, void *ctx, struct err *e)
{
	json_error_t why;
	json_t *root = json_loadb((const char *)text.ptr, text.len, JSON_ALLOW_NUL, &why);
	const json_t *list = json_object_get(root, "failures");
	const json_t *v;
	size_t i;
	int r = 0;

	if (!json_is_array(list))
		r = err_set(e, -EINVAL, "failures in JSON: %s",
			    root ? "no list \"failures\"" : why.text);
	json_array_foreach(list, i, v)
	{
		struct failure f;

		if (!read_failure(v, &f))
			r = err_set(e, -EINVAL, "failures in JSON: number %zu is not understood",
				    i);
		else
			r = fn(ctx, &f);
		if (r)
			break;
	}
	json_decref(root);
	return r < 0 ? r : 0;
}
