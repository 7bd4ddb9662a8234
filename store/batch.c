// SPDX-License-Identifier: Apache-2.0
#include "store/batch.h"

#include <stdlib.h>

#include "lib/array.h"

void batch_fini(struct batch *b)
{
	buf_fini(&b->bytes);
	free(b->rows);
	free(b->commons);
	free(b->blocks);
	buf_fini(&b->packed);
	*b = (struct batch){0};
}

void batch_clear(struct batch *b)
{
	buf_clear(&b->bytes);
	b->row_count = 0;
	b->common_count = 0;
	b->block_count = 0;
	buf_clear(&b->packed);
}

struct row *batch_row(struct batch *b)
{
	void *rows = b->rows;
	bool has_room = array_room(&rows, &b->row_room, b->row_count, sizeof(struct row));

	b->rows = rows;
	return has_room ? &b->rows[b->row_count] : NULL;
}

struct common_row *batch_common(struct batch *b)
{
	void *commons = b->commons;
	bool has_room =
		array_room(&commons, &b->common_room, b->common_count, sizeof(struct common_row));

	b->commons = commons;
	return has_room ? &b->commons[b->common_count] : NULL;
}

struct block_info *batch_block(struct batch *b)
{
	void *blocks = b->blocks;
	bool has_room =
		array_room(&blocks, &b->block_room, b->block_count, sizeof(struct block_info));

	b->blocks = blocks;
	return has_room ? &b->blocks[b->block_count] : NULL;
}

struct piece batch_add(struct batch *b, struct span s)
{
	struct piece p = {(uint32_t)b->bytes.len, (uint32_t)s.len};

	buf_add_span(&b->bytes, s);
	return p;
}

struct span batch_span(const struct batch *b, struct piece p)
{
	return span_of(b->bytes.ptr + p.at, p.len);
}

static int by_id(const void *a, const void *b)
{
	uint64_t x = ((const struct row *)a)->id, y = ((const struct row *)b)->id;

	return (x > y) - (x < y);
}

void batch_sort(struct batch *b)
{
	for (size_t i = 1; i < b->row_count; i++)
		if (b->rows[i].id < b->rows[i - 1].id) {
			qsort(b->rows, b->row_count, sizeof(b->rows[0]), by_id);
			return;
		}
}

uint64_t batch_raw_bytes(const struct batch *b)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < b->row_count; i++)
		sum += b->rows[i].raw_bytes;
	return sum;
}

size_t batch_memory(const struct batch *b)
{
	return b->bytes.len + b->packed.len + b->row_count * sizeof(struct row) +
	       b->common_count * sizeof(struct common_row) +
	       b->block_count * sizeof(struct block_info);
}
