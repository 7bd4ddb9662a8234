// SPDX-License-Identifier: Apache-2.0
/*
 * labels.h - labels or annotations of a pod as one text: a JSON object of texts
 *
 * In one form only, so that equal labels are equal bytes: sorted by key, no blanks, escaped as
 * lib/json.h does; "" for none. Thread: any.
 */
#pragma once

#include <jansson.h>

#include "lib/buf.h"
#include "lib/json.h"

#define LABELS_MAX 16384 /* octets of such a text */

/**
 * labels_from_json() - append the text of an object's members that are texts
 * @object: NULL, or no object: none
 * @wants:  which keys; NULL: all
 *
 * Return: how many members were left out because the text would become longer than LABELS_MAX.
 */
typedef bool labels_wants_fn(void *ctx, struct span key);
size_t labels_from_json(const json_t *object, labels_wants_fn *wants, void *ctx, struct buf *out);

/* labels_put() - as a value of a JSON document, whatever bytes they are */
void labels_put(struct json *j, struct span labels);
