// SPDX-License-Identifier: Apache-2.0
#include "record/pcapng.h"

#include <errno.h>
#include <pcap/dlt.h>
#include <stdlib.h>

#include "lib/clock.h"

/*
 * Theory of operation (draft-ietf-opsawg-pcapng). A file is a row of blocks, each with its type
 * and its length before and after the body:
 *
 *	type (4) | total length (4) | body ... padded to 4 | total length (4)
 *
 * A section header says the byte order of what follows and makes the list of interfaces empty;
 * interface descriptions number themselves from 0 and carry the link type and the unit of time;
 * packet blocks name their interface. All other blocks are passed over. libpcap refuses a file
 * whose interfaces differ in link type, so the format is read here, for all pcapng files alike.
 *
 * Nothing is believed: a block is at most BLOCK_MAX long if it is one we read, and the lengths
 * inside it are laid against the block's own.
 */
#define BLOCK_MAX	   (1u << 20) /* 64 KiB of packet are usual, 256 KiB the most that we capture */
#define INTERFACES_MAX	   65536
#define HEAD_BYTES	   8 /* type and total length */
#define BYTE_ORDER_OURS	   UINT32_C(0x1A2B3C4D)
#define BYTE_ORDER_SWAPPED UINT32_C(0x4D3C2B1A)
#define LINKTYPE_RAW_FILE  101 /* what files say for DLT_RAW */

enum block_type {
	BLOCK_INTERFACE = 1,
	BLOCK_PACKET_OLD = 2,
	BLOCK_PACKET_SIMPLE = 3,
	BLOCK_PACKET = 6,
};

enum interface_option { OPTION_END = 0, OPTION_TSRESOL = 9, OPTION_TSOFFSET = 14 };

struct interface {
	int linktype;
	uint32_t snaplen; /* 0: not limited */
	uint8_t tsresol;  /* power of ten, or with the top bit of two, of a second's parts */
	int64_t offset_s; /* added to each time */
};

struct pcapng {
	FILE *in; /* borrowed */
	bool is_swapped;
	struct interface *interfaces;
	size_t interface_count, interface_room;
	uint64_t last_ns; /* of the last packet with a time */
	uint8_t *block;	  /* BLOCK_MAX bytes */
};

/* One block: its body without the lengths around it. */
struct block {
	uint32_t type;
	struct span body;
};

void pcapng_free(struct pcapng *p)
{
	if (!p)
		return;
	free(p->interfaces);
	free(p->block);
	free(p);
}

static uint32_t u32_at(const struct pcapng *p, const uint8_t *at)
{
	uint32_t v;

	memcpy(&v, at, sizeof(v));
	return p->is_swapped ? __builtin_bswap32(v) : v;
}

static uint16_t u16_at(const struct pcapng *p, const uint8_t *at)
{
	uint16_t v;

	memcpy(&v, at, sizeof(v));
	return p->is_swapped ? __builtin_bswap16(v) : v;
}

static int truncated(const struct pcapng *p, struct err *e)
{
	if (ferror(p->in))
		return err_set(e, -EIO, "reading failed: %s", strerror(errno));
	return err_set(e, -ENODATA, "ends in the middle of a block");
}

static int read_exactly(struct pcapng *p, void *to, size_t bytes, struct err *e)
{
	return fread(to, 1, bytes, p->in) == bytes ? 0 : truncated(p, e);
}

/* The bytes of a block that nobody asked for. */
static int skip_bytes(struct pcapng *p, uint32_t bytes, struct err *e)
{
	while (bytes) {
		uint32_t n = MIN(bytes, BLOCK_MAX);
		int r = read_exactly(p, p->block, n, e);

		if (r < 0)
			return r;
		bytes -= n;
	}
	return 0;
}

/*
 * The rest of a section header, whose type was read. Its length can be understood only with the
 * byte-order mark that follows it.
 */
static int read_section(struct pcapng *p, struct err *e)
{
	uint8_t head[8];
	uint32_t mark, total;
	int r = read_exactly(p, head, sizeof(head), e);

	if (r < 0)
		return r;
	memcpy(&mark, head + 4, sizeof(mark));
	if (mark != BYTE_ORDER_OURS && mark != BYTE_ORDER_SWAPPED)
		return err_set(e, -EBADMSG, "a pcapng section without its byte-order mark");
	p->is_swapped = mark == BYTE_ORDER_SWAPPED;
	p->interface_count = 0;
	total = u32_at(p, head);
	if (total < 28 || total % 4)
		return err_set(e, -EBADMSG, "a pcapng section header of %u bytes", total);
	return skip_bytes(p, total - 12, e);
}

static bool is_wanted(uint32_t type)
{
	return type == BLOCK_INTERFACE || type == BLOCK_PACKET || type == BLOCK_PACKET_SIMPLE ||
	       type == BLOCK_PACKET_OLD;
}

/* Length and body of a block whose type was read; one that is not wanted comes without a body. */
static int read_block(struct pcapng *p, struct block *b, struct err *e)
{
	uint8_t length[4];
	uint32_t total;
	int r = read_exactly(p, length, sizeof(length), e);

	if (r < 0)
		return r;
	total = u32_at(p, length);
	if (total < HEAD_BYTES + 4 || total % 4 || (is_wanted(b->type) && total > BLOCK_MAX))
		return err_set(e, -EBADMSG, "a block of type %u that claims %u bytes", b->type,
			       total);
	if (!is_wanted(b->type))
		return skip_bytes(p, total - HEAD_BYTES, e);
	r = read_exactly(p, p->block, total - HEAD_BYTES, e);
	if (r < 0)
		return r;
	if (u32_at(p, p->block + total - HEAD_BYTES - 4) != total)
		return err_set(e, -EBADMSG, "a block whose two lengths differ");
	b->body = span_of(p->block, total - HEAD_BYTES - 4);
	return 0;
}

static void read_interface_option(const struct pcapng *p, struct interface *it, uint16_t code,
				  struct span value)
{
	if (code == OPTION_TSRESOL && value.len >= 1) {
		it->tsresol = value.ptr[0];
	} else if (code == OPTION_TSOFFSET && value.len >= 8) {
		uint64_t low = u32_at(p, value.ptr + (p->is_swapped ? 4 : 0));
		uint64_t high = u32_at(p, value.ptr + (p->is_swapped ? 0 : 4));

		it->offset_s = (int64_t)(high << 32 | low);
	}
}

static int add_interface(struct pcapng *p, struct span body, struct err *e)
{
	struct interface it = {.tsresol = 6};
	struct span options = span_from(body, 8);

	if (body.len < 8)
		return err_set(e, -EBADMSG, "an interface block of %zu bytes", body.len);
	it.linktype = u16_at(p, body.ptr);
	if (it.linktype == LINKTYPE_RAW_FILE)
		it.linktype = DLT_RAW;
	it.snaplen = u32_at(p, body.ptr + 4);
	while (options.len >= 4) {
		uint16_t code = u16_at(p, options.ptr), len = u16_at(p, options.ptr + 2);

		if (code == OPTION_END || len > options.len - 4)
			break;
		read_interface_option(p, &it, code, span_of(options.ptr + 4, len));
		options = span_from(options, 4 + ((size_t)len + 3) / 4 * 4);
	}
	if (p->interface_count == INTERFACES_MAX)
		return err_set(e, -EBADMSG, "more than %d interfaces", INTERFACES_MAX);
	if (p->interface_count == p->interface_room) {
		size_t room = p->interface_room ? p->interface_room * 2 : 8;
		struct interface *more = realloc(p->interfaces, room * sizeof(*more));

		if (!more)
			return err_set(e, -ENOMEM, "out of memory");
		p->interfaces = more;
		p->interface_room = room;
	}
	p->interfaces[p->interface_count++] = it;
	return 0;
}

/* Parts of a second, by if_tsresol, as ns; wraps for a file that lies, which harms nobody. */
static uint64_t to_ns(const struct interface *it, uint64_t ticks)
{
	unsigned power = it->tsresol & 0x7f;
	uint64_t ns = ticks, offset_ns = (uint64_t)it->offset_s * NS_PER_S;

	if (it->tsresol & 0x80) {
		uint64_t part = power > 63 ? ticks : ticks & ((UINT64_C(1) << power) - 1);
		uint64_t s = power > 63 ? 0 : ticks >> power;

		for (; power > 30; power--) /* so that the product fits */
			part >>= 1;
		return s * NS_PER_S + (part * NS_PER_S >> power) + offset_ns;
	}
	for (; power < 9; power++)
		ns *= 10;
	for (; power > 9; power--)
		ns /= 10;
	return ns + offset_ns;
}

/* What the three kinds of packet block have in common. */
static int give_packet(struct pcapng *p, uint32_t interface, uint64_t ticks, bool has_time,
		       struct span rest, uint32_t captured, uint32_t length, struct packet *out,
		       struct err *e)
{
	const struct interface *it;

	if (interface >= p->interface_count)
		return err_set(e, -EBADMSG, "a packet of interface %u, which is not described",
			       interface);
	it = &p->interfaces[interface];
	if (captured > rest.len)
		return err_set(e, -EBADMSG, "a packet of %u bytes in a block of %zu", captured,
			       rest.len);
	if (has_time)
		p->last_ns = to_ns(it, ticks);
	*out = (struct packet){.ts_ns = p->last_ns,
			       .bytes = span_of(rest.ptr, captured),
			       .length = MAX(length, captured),
			       .linktype = it->linktype};
	return 1;
}

static uint64_t ticks_at(const struct pcapng *p, const uint8_t *at)
{
	return (uint64_t)u32_at(p, at) << 32 | u32_at(p, at + 4);
}

static int read_packet(struct pcapng *p, const struct block *b, struct packet *out, struct err *e)
{
	const uint8_t *at = b->body.ptr;
	size_t fixed = b->type == BLOCK_PACKET_SIMPLE ? 4 : 20;
	struct span rest = span_from(b->body, fixed);
	uint32_t snaplen, length;

	if (b->body.len < fixed)
		return err_set(e, -EBADMSG, "a packet block of %zu bytes", b->body.len);
	if (b->type == BLOCK_PACKET)
		return give_packet(p, u32_at(p, at), ticks_at(p, at + 4), true, rest,
				   u32_at(p, at + 12), u32_at(p, at + 16), out, e);
	if (b->type == BLOCK_PACKET_OLD)
		return give_packet(p, u16_at(p, at), ticks_at(p, at + 4), true, rest,
				   u32_at(p, at + 12), u32_at(p, at + 16), out, e);
	length = u32_at(p, at);
	snaplen = p->interface_count ? p->interfaces[0].snaplen : 0;
	return give_packet(p, 0, 0, false, rest, snaplen ? MIN(length, snaplen) : length, length,
			   out, e);
}

/* The type of the next block. Return: 1, 0 at the end of the file, or a negative errno. */
static int read_type(struct pcapng *p, struct block *b, struct err *e)
{
	uint8_t type[4];
	size_t n;

	n = fread(type, 1, sizeof(type), p->in);
	if (n == 0 && !ferror(p->in))
		return 0;
	if (n < sizeof(type))
		return truncated(p, e);
	b->type = u32_at(p, type);
	return 1;
}

int pcapng_next(struct pcapng *p, struct packet *out, struct err *e)
{
	for (;;) {
		struct block b = {0};
		int r = read_type(p, &b, e);

		if (r <= 0)
			return r;
		if (b.type == PCAPNG_MAGIC)
			r = read_section(p, e);
		else
			r = read_block(p, &b, e);
		if (r == 0 && b.type == BLOCK_INTERFACE)
			r = add_interface(p, b.body, e);
		else if (r == 0 && is_wanted(b.type))
			return read_packet(p, &b, out, e);
		if (r < 0)
			return r;
	}
}

int pcapng_new(FILE *in, struct pcapng **p_out, struct err *e)
{
	struct err why = {0};
	AUTO(pcapng) p = calloc(1, sizeof(*p));

	if (!p || !(p->block = malloc(BLOCK_MAX)))
		return err_set(e, -ENOMEM, "out of memory");
	p->in = in;
	if (read_section(p, &why) < 0)
		return err_set(e, -EBADMSG, "no capture file: %s", why.why);
	*p_out = TAKE(p);
	return 0;
}
