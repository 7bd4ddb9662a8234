// SPDX-License-Identifier: Apache-2.0
#include "store/packing.h"

#include <errno.h>
#include <stdlib.h>

#include "store/bodies.h"
#include "store/common.h"
#include "store/dictionary.h"

/*
 * Theory of operation. The messages of an exchange go into the block that its class has open; a
 * block that is full is compressed at once, the others when they are flushed. So where much comes,
 * many share a block, and where little comes, nothing waits. A body that another exchange of the
 * tape holds is named instead. A dictionary becomes a row of the tape with the first block that
 * needs it.
 */
#define DRAFTS	 (DICTIONARY_CLASSES + 1) /* the last: of all that have no class */
#define CLASS_OF 1024			  /* kinds whose class is remembered, a power of two */

/* A kind's class follows from the kind. */
struct class_of {
	uint64_t kind; /* 0: free */
	struct dictionary *class;
};

struct packing {
	struct block_packer *packer;
	struct dictionaries *dictionaries;
	struct bodies *bodies;
	uint32_t next_dictionary; /* number on the tape */
	uint64_t next_block;	  /* likewise */
	struct class_of class_of[CLASS_OF];
	struct block_draft drafts[DRAFTS];
	size_t draft_bytes; /* in all of them */
	struct buf key;	    /* scratch */
};

struct packing *packing_new(struct jobs *jobs, int level)
{
	struct packing *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->packer = block_packer_new(level);
	p->dictionaries = dictionaries_new(jobs, level);
	p->bodies = bodies_new();
	if (p->packer && p->dictionaries && p->bodies)
		return p;
	packing_free(p);
	return NULL;
}

void packing_free(struct packing *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < DRAFTS; i++)
		block_draft_fini(&p->drafts[i]);
	block_packer_free(p->packer);
	dictionaries_free(p->dictionaries);
	bodies_free(p->bodies);
	buf_fini(&p->key);
	free(p);
}

void packing_set_thorough(struct packing *p)
{
	block_packer_set_thorough(p->packer);
}

void packing_set_level(struct packing *p, int level)
{
	block_packer_set_level(p->packer, level);
	dictionaries_set_level(p->dictionaries, level);
}

void packing_discard(struct packing *p)
{
	for (size_t i = 0; i < DRAFTS; i++)
		block_draft_clear(&p->drafts[i]);
	p->draft_bytes = 0;
	memset(p->class_of, 0, sizeof(p->class_of));
	bodies_forget(p->bodies);
	dictionaries_leave_tape(p->dictionaries);
}

void packing_begin_tape(struct packing *p, uint32_t next_dictionary, uint64_t next_block)
{
	packing_discard(p);
	p->next_dictionary = next_dictionary;
	p->next_block = next_block;
}

void packing_forget_bodies(struct packing *p)
{
	bodies_forget(p->bodies);
}

size_t packing_bytes(const struct packing *p)
{
	return p->draft_bytes;
}

uint64_t packing_dictionaries(const struct packing *p)
{
	return dictionaries_count(p->dictionaries);
}

static struct pack_elsewhere find_bodies(struct packing *p, const struct exchange *x)
{
	struct pack_elsewhere found = {0};

	if (x->request.body.len >= BODIES_LENGTH_MIN)
		found.request = bodies_find(p->bodies, BODIES_REQUEST, x->request.body, x->id);
	if (x->response.body.len >= BODIES_LENGTH_MIN)
		found.response = bodies_find(p->bodies, BODIES_RESPONSE, x->response.body, x->id);
	return found;
}

/* The number on the tape of a dictionary that is used now; 0 without memory. */
static uint32_t use_dictionary(struct packing *p, struct dictionary *d, struct batch *b)
{
	uint32_t *number = dictionary_number(d);
	struct common_row *row;

	if (*number)
		return *number;
	row = batch_common(b);
	common_dictionary_key(&p->key, dictionary_class(d), dictionary_bytes(d));
	if (!row || p->key.is_failed)
		return 0;
	*row = (struct common_row){p->next_dictionary, COMMON_DICTIONARY,
				   batch_add(b, buf_span(&p->key))};
	if (b->bytes.is_failed) {
		b->bytes.is_failed = false;
		return 0;
	}
	b->common_count++;
	*number = p->next_dictionary++;
	return *number;
}

static struct dictionary *class_of(struct packing *p, const struct exchange *x, uint64_t kind)
{
	struct class_of *known = &p->class_of[kind % CLASS_OF];

	if (known->kind != kind)
		*known = (struct class_of){kind, dictionary_of(p->dictionaries, x)};
	return known->class;
}

/* The block of a class is full, or the batch is to be written. */
static int close_draft(struct packing *p, size_t class, struct batch *b, struct err *e)
{
	struct block_draft *d = &p->drafts[class];
	struct dictionary *c =
		class < DICTIONARY_CLASSES ? dictionary_at(p->dictionaries, class) : NULL;
	const struct ZSTD_CDict_s *ready = c ? dictionary_ready(p->dictionaries, c) : NULL;
	struct block_info *info = batch_block(b);
	uint64_t at = b->packed.len;
	uint32_t number = ready ? use_dictionary(p, c, b) : 0;

	if (!info ||
	    block_pack(p->packer, d, number ? ready : NULL,
		       number ? dictionary_bytes(c) : (struct span){0}, &b->packed, info) < 0)
		return err_set(e, -ENOMEM, "store: no memory for a block");
	info->at = at;
	info->dictionary = number;
	p->draft_bytes -= info->raw_bytes;
	if (number)
		dictionary_note(c, info->raw_bytes, info->bytes);
	b->block_count++;
	return 0;
}

int packing_flush(struct packing *p, struct batch *b, struct err *e)
{
	int r = 0;

	for (size_t i = 0; i < DRAFTS && r == 0; i++)
		if (p->drafts[i].exchanges)
			r = close_draft(p, i, b, e);
	return r;
}

static size_t message_bytes(const struct message *m)
{
	return m->head.len + m->framing.len + m->body.len + m->trailers.len;
}

/* The messages into the block of their class. The last that may fail, so that nothing is left
 * there. */
int packing_move(struct packing *p, const struct exchange *x,
		 const struct pack_elsewhere *elsewhere, struct row *row, struct batch *b,
		 struct err *e)
{
	struct dictionary *class = class_of(p, x, row->kind);
	size_t at = class ? dictionary_index(p->dictionaries, class) : DICTIONARY_CLASSES, was;
	struct block_draft *d = &p->drafts[at];
	int r = 0;

	row->raw_bytes = (uint32_t)(message_bytes(&x->request) + message_bytes(&x->response));
	if (!block_draft_has_room(d, row->raw_bytes))
		r = close_draft(p, at, b, e);
	if (r < 0)
		return r;
	if (d->exchanges == 0)
		d->number = p->next_block++;
	was = d->raw.len;
	p->draft_bytes -= block_draft_bytes(d);
	r = pack_add(x, elsewhere, &d->prefixes, &d->raw, e);
	p->draft_bytes += block_draft_bytes(d);
	if (r < 0)
		return r;
	row->place = (int64_t)(d->number * BLOCK_PLACES + d->exchanges++);
	if (class)
		dictionary_learn(p->dictionaries, class, span_from(buf_span(&d->raw), was));
	return 0;
}

int packing_add(struct packing *p, const struct exchange *x, struct row *row, struct batch *b,
		struct err *e)
{
	struct pack_elsewhere elsewhere = find_bodies(p, x);

	return packing_move(p, x, &elsewhere, row, b, e);
}
