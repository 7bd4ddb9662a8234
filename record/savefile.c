// SPDX-License-Identifier: Apache-2.0
#include "record/savefile.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/clock.h"

/*
 * Theory of operation (draft-ietf-opsawg-pcap). A header of 24 bytes, then for each packet
 *
 *	seconds (4) | micro- or nanoseconds (4) | bytes captured (4) | bytes on the wire (4) | the bytes
 *
 * libpcap copies each packet twice on its way from the kernel, which costs as much as decoding it. So
 * the usual file, version 2.4 in this machine's byte order of Ethernet or Linux "any" frames, is read
 * here: a window over the file, filled a piece at a time that fits the processor's cache, and packets
 * handed out where they lie in it. It is not mapped: a file that is cut short meanwhile would end the
 * process. A pipe gives what it has, so that packets come as they are written.
 *
 * Lengths that make no sense are taken as libpcap takes them: a packet longer than the file's own limit
 * is cut to it; one longer than any packet ends the reading.
 */
#define MAGIC_US     UINT32_C(0xa1b2c3d4)
#define MAGIC_NS     UINT32_C(0xa1b23c4d)
#define CAPTURED_MAX UINT32_C(262144) /* of one packet [bytes] */
#define RECORD_BYTES 16
#define PIECE_BYTES  ((size_t)64 * 1024)
#define WINDOW_BYTES (PIECE_BYTES + RECORD_BYTES + CAPTURED_MAX)

struct savefile {
	int fd; /* borrowed */
	int linktype;
	uint32_t snaplen; /* bytes of a packet that are handed out, at most */
	uint32_t unit_ns; /* of the fraction of a second */
	size_t at, end;	  /* read and not yet handed out, in window */
	uint8_t window[WINDOW_BYTES];
};

static uint32_t u32_at(const uint8_t *at)
{
	uint32_t v;

	memcpy(&v, at, sizeof(v));
	return v;
}

static uint16_t u16_at(const uint8_t *at)
{
	uint16_t v;

	memcpy(&v, at, sizeof(v));
	return v;
}

/* link types whose number is the same in files and in memory, without flags beside it */
static bool is_plain_linktype(uint32_t linktype)
{
	return linktype == 1 || linktype == 113 || linktype == 276;
}

bool savefile_reads(const uint8_t header[SAVEFILE_HEADER_BYTES])
{
	uint32_t magic = u32_at(header);

	return (magic == MAGIC_US || magic == MAGIC_NS) && u16_at(header + 4) == 2 &&
	       u16_at(header + 6) == 4 && is_plain_linktype(u32_at(header + 20));
}

struct savefile *savefile_new(int fd, const uint8_t header[SAVEFILE_HEADER_BYTES])
{
	struct savefile *s = malloc(sizeof(*s));
	uint32_t snaplen = u32_at(header + 16);

	if (!s)
		return NULL;
	s->fd = fd;
	s->linktype = (int)u32_at(header + 20);
	s->snaplen = snaplen && snaplen < CAPTURED_MAX ? snaplen : CAPTURED_MAX;
	s->unit_ns = u32_at(header) == MAGIC_US ? 1000 : 1;
	s->at = s->end = 0;
	return s;
}

void savefile_free(struct savefile *s)
{
	free(s);
}

/* Have @bytes from s->at on in the window. Return: 1; 0 when the file ends before; a negative errno. */
static int want(struct savefile *s, size_t bytes, struct err *e)
{
	while (s->end - s->at < bytes) {
		ssize_t n;

		memmove(s->window, s->window + s->at, s->end - s->at);
		s->end -= s->at;
		s->at = 0;
		n = read(s->fd, s->window + s->end, MIN(PIECE_BYTES, WINDOW_BYTES - s->end));
		if (n < 0)
			return err_set(e, -EBADMSG, "reading failed: %s", strerror(errno));
		if (n == 0)
			return 0;
		s->end += (size_t)n;
	}
	return 1;
}

static int read_packet(struct savefile *s, size_t captured, struct packet *out)
{
	const uint8_t *head = s->window + s->at;
	/* signed, as libpcap has them: a time before 1970 is nonsense either way */
	int64_t seconds = (int32_t)u32_at(head), fraction = (int32_t)u32_at(head + 4);

	*out = (struct packet){
		.ts_ns = (uint64_t)seconds * NS_PER_S + (uint64_t)(fraction * s->unit_ns),
		.bytes = span_of(head + RECORD_BYTES, MIN(captured, (size_t)s->snaplen)),
		.linktype = s->linktype,
	};
	out->length = MAX((size_t)u32_at(head + 12), out->bytes.len);
	s->at += RECORD_BYTES + captured;
	return 1;
}

int savefile_next(struct savefile *s, struct packet *out, struct err *e)
{
	uint32_t captured;
	int r = want(s, RECORD_BYTES, e);

	if (r < 0 || (r == 0 && s->at == s->end))
		return r;
	if (r > 0) {
		captured = u32_at(s->window + s->at + 8);
		if (captured > CAPTURED_MAX)
			return err_set(e, -EBADMSG, "a packet that claims %u bytes", captured);
		r = want(s, RECORD_BYTES + captured, e);
	}
	if (r == 0)
		return err_set(e, -ENODATA, "ends in the middle of a packet");
	return r < 0 ? r : read_packet(s, captured, out);
}
