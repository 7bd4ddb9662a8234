// SPDX-License-Identifier: Apache-2.0
#include "record/file.h"

#include <errno.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>

#include "record/pcapng.h"

/*
 * Theory of operation. The first four bytes tell pcapng from pcap. pcapng is read by
 * record/pcapng.c, because libpcap refuses a file whose interfaces differ in link type; all forms
 * of pcap (both byte orders, micro- and nanoseconds, the modified ones) are left to libpcap, which
 * is asked for nanoseconds.
 *
 * The four bytes are pushed back before libpcap sees the file. ISO C promises one byte of
 * push-back, glibc as many as were just read, from a pipe too.
 */
#define READ_BUFFER (256 * 1024)

struct file {
	FILE *in; /* owned, until libpcap takes it */
	char *name;
	pcap_t *pcap;
	struct pcapng *pcapng;
};

void file_close(struct file *f)
{
	if (!f)
		return;
	if (f->pcap)
		pcap_close(f->pcap); /* closes the file, unless it is standard input */
	pcapng_free(f->pcapng);
	if (f->in && f->in != stdin)
		(void)fclose(f->in);
	free(f->name);
	free(f);
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

/* Look at the first bytes and choose the reader. */
static int open_format(struct file *f, struct err *e)
{
	uint32_t magic = 0;
	uint8_t first[sizeof(magic)];
	size_t n = fread(first, 1, sizeof(first), f->in);

	if (n == 0 && ferror(f->in))
		return err_set(e, -errno, "%s: %s", f->name, strerror(errno));
	if (n == 0)
		return err_set(e, -EBADMSG, "%s: no capture file: it is empty", f->name);
	memcpy(&magic, first, sizeof(magic));
	if (n == sizeof(first) && magic == PCAPNG_MAGIC)
		return pcapng_new(f->in, &f->pcapng, e) < 0 ? err_wrap(e, "%s", f->name) : 0;
	while (n)
		(void)ungetc(first[--n], f->in);
	return open_pcap(f, e);
}

int file_open(const char *path, struct file **f_out, struct err *e)
{
	bool is_stdin = strcmp(path, "-") == 0;
	AUTO(file) f = calloc(1, sizeof(*f));
	int r;

	if (!f || !(f->name = strdup(is_stdin ? "standard input" : path)))
		return err_set(e, -ENOMEM, "%s: out of memory", path);
	f->in = is_stdin ? stdin : fopen(path, "rbe");
	if (!f->in)
		return err_set(e, -errno, "%s: %s", path, strerror(errno));
	(void)setvbuf(f->in, NULL, _IOFBF, READ_BUFFER);
	r = open_format(f, e);
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
	int r = f->pcapng ? pcapng_next(f->pcapng, out, e) : next_pcap(f, out, e);

	if (r < 0)
		(void)err_wrap(e, "%s", f->name);
	return r;
}
