// SPDX-License-Identifier: Apache-2.0
#include "record/file.h"

#include <errno.h>
#include <fcntl.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "record/pcapng.h"
#include "record/savefile.h"

/*
 * Theory of operation. The first bytes tell the format. The usual pcap file is read by
 * record/savefile.c, for speed; pcapng by record/pcapng.c, because libpcap refuses a file whose
 * interfaces differ in link type; all other forms of pcap (the other byte order, the modified ones,
 * rare link types) are left to libpcap, which is asked for nanoseconds.
 *
 * The latter two read a stream, which gives the first bytes again and then goes on with the file: a
 * pipe cannot be read twice.
 */
struct file {
	char *name;
	int fd; /* owned, but for standard input's */
	uint8_t first[SAVEFILE_HEADER_BYTES];
	size_t first_len, first_given; /* bytes in first; by the stream */
	FILE *in;		       /* the stream; owned, until libpcap takes it */
	pcap_t *pcap;
	struct pcapng *pcapng;
	struct savefile *savefile;
};

void file_close(struct file *f)
{
	if (!f)
		return;
	if (f->pcap)
		pcap_close(f->pcap); /* closes the stream */
	pcapng_free(f->pcapng);
	savefile_free(f->savefile);
	if (f->in)
		(void)fclose(f->in);
	if (f->fd > STDIN_FILENO)
		(void)close(f->fd);
	free(f->name);
	free(f);
}

ssize_t file_read(struct file *f, void *to, size_t room)
{
	size_t n = MIN(room, f->first_len - f->first_given);

	if (n == 0)
		return read(f->fd, to, room);
	memcpy(to, f->first + f->first_given, n);
	f->first_given += n;
	return (ssize_t)n;
}

static ssize_t read_stream(void *ctx, char *to, size_t room)
{
	return file_read(ctx, to, room);
}

static int open_pcap(struct file *f, struct err *e)
{
	char why[PCAP_ERRBUF_SIZE];

	f->pcap = pcap_fopen_offline_with_tstamp_precision(f->in, PCAP_TSTAMP_PRECISION_NANO, why);
	if (!f->pcap)
		return err_set(e, -EBADMSG, "%s: no capture file: %s", f->name, why);
	f->in = NULL;
	return 0;
}

/* Fill f->first as far as the file goes. */
static int read_first(struct file *f, struct err *e)
{
	while (f->first_len < sizeof(f->first)) {
		ssize_t n = read(f->fd, f->first + f->first_len, sizeof(f->first) - f->first_len);

		if (n < 0)
			return err_set(e, -errno, "%s: %s", f->name, strerror(errno));
		if (n == 0)
			break;
		f->first_len += (size_t)n;
	}
	return 0;
}

static int open_pcapng(struct file *f, struct err *e)
{
	uint8_t type[4]; /* of the first block; the reader begins behind it */

	if (fread(type, 1, sizeof(type), f->in) != sizeof(type))
		return err_set(e, -EBADMSG, "%s: no capture file", f->name);
	return pcapng_new(f->in, &f->pcapng, e) < 0 ? err_wrap(e, "%s", f->name) : 0;
}

struct span file_first(const struct file *f)
{
	return span_of(f->first, f->first_len);
}

const char *file_name(const struct file *f)
{
	return f->name;
}

bool file_is_capture(const struct file *f)
{
	/* pcap of micro- and nanoseconds, the modified ones of Kuznetzov and Nokia, in either byte
	 * order; pcapng */
	static const uint32_t magics[] = {0xa1b2c3d4, 0xa1b23c4d, 0xa1b2cd34, 0xa1b2c3cd};
	uint32_t magic = 0;

	if (f->first_len < sizeof(magic))
		return false;
	memcpy(&magic, f->first, sizeof(magic));
	for (size_t i = 0; i < COUNT_OF(magics); i++)
		if (magic == magics[i] || magic == __builtin_bswap32(magics[i]))
			return true;
	return magic == PCAPNG_MAGIC;
}

/* Look at the first bytes and choose the reader. */
int file_choose(struct file *f, struct err *e)
{
	uint32_t magic = 0;

	if (f->first_len == 0)
		return err_set(e, -EBADMSG, "%s: no capture file: it is empty", f->name);
	if (f->first_len == sizeof(f->first) && savefile_reads(f->first)) {
		f->savefile = savefile_new(f->fd, f->first);
		return f->savefile ? 0 : err_set(e, -ENOMEM, "%s: out of memory", f->name);
	}
	f->in = fopencookie(f, "rb", (cookie_io_functions_t){.read = read_stream});
	if (!f->in)
		return err_set(e, -ENOMEM, "%s: out of memory", f->name);
	memcpy(&magic, f->first, sizeof(magic));
	return f->first_len >= sizeof(magic) && magic == PCAPNG_MAGIC ? open_pcapng(f, e)
								      : open_pcap(f, e);
}

int file_begin(const char *path, struct file **f_out, struct err *e)
{
	bool is_stdin = strcmp(path, "-") == 0;
	AUTO(file) f = calloc(1, sizeof(*f));
	int r;

	if (!f || !(f->name = strdup(is_stdin ? "standard input" : path)))
		return err_set(e, -ENOMEM, "%s: out of memory", path);
	f->fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
	if (f->fd < 0)
		return err_set(e, -errno, "%s: %s", path, strerror(errno));
	r = read_first(f, e);
	if (r < 0)
		return r;
	*f_out = TAKE(f);
	return 0;
}

int file_open(const char *path, struct file **f_out, struct err *e)
{
	AUTO(file) f = NULL;
	int r = file_begin(path, &f, e);

	if (r == 0)
		r = file_choose(f, e);
	if (r < 0)
		return r;
	*f_out = TAKE(f);
	return 0;
}

static int next_pcap(struct file *f, struct packet *out, struct err *e)
{
	struct pcap_pkthdr *h;
	const u_char *bytes;
	int r = pcap_next_ex(f->pcap, &h, &bytes);

	if (r == 1) {
		/* with nanosecond precision tv_usec counts ns */
		*out = (struct packet){
			.ts_ns = (uint64_t)h->ts.tv_sec * NS_PER_S + (uint64_t)h->ts.tv_usec,
			.bytes = span_of(bytes, h->caplen),
			.length = MAX(h->len, h->caplen),
			.linktype = pcap_datalink(f->pcap),
		};
		return 1;
	}
	if (r == PCAP_ERROR_BREAK)
		return 0;
	/* libpcap has no code for it, only this word */
	if (strstr(pcap_geterr(f->pcap), "truncated"))
		return err_set(e, -ENODATA, "ends in the middle of a packet");
	return err_set(e, -EBADMSG, "%s", pcap_geterr(f->pcap));
}

int file_next(struct file *f, struct packet *out, struct err *e)
{
	int r = f->savefile ? savefile_next(f->savefile, out, e)
		: f->pcapng ? pcapng_next(f->pcapng, out, e)
			    : next_pcap(f, out, e);

	if (r < 0)
		(void)err_wrap(e, "%s", f->name);
	return r;
}
