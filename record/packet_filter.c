// SPDX-License-Identifier: Apache-2.0
#include "record/packet_filter.h"

#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <pcap/pcap.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "record/handle.h"

/*
 * Theory of operation. A packet socket of type SOCK_DGRAM hands packets, and shows them to its filter,
 * from the network header on. libpcap compiles for such data under the name of raw IP, but a raw IP
 * link carries nothing else, so what it compiles would read an ARP packet as IP. Four questions come
 * first, which the kernel answers from what it knows of the packet beside its bytes (SKF_AD_*):
 *
 *	is it the outgoing copy on loopback, which comes in again at once?  -> no
 *	is it IPv4 or IPv6?                                                 -> else no
 *
 * Jumps of classic BPF are relative, so libpcap's program works unchanged behind them. Loopback is
 * interface 1 in every network namespace: the kernel makes it first (include/net/net_namespace.h,
 * LOOPBACK_IFINDEX).
 */
#define LOOPBACK_IFINDEX 1
#define PROGRAM_MAX	 4096 /* BPF_MAXINSNS */

struct packet_filter {
	struct sock_fprog program;
	struct sock_filter code[];
};

static const struct sock_filter prologue[] = {
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_IFINDEX)),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, LOOPBACK_IFINDEX, 0, 2),
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_PKTTYPE)),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PACKET_OUTGOING, 3, 0),
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_PROTOCOL)),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_IP, 2, 0),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_IPV6, 1, 0),
	BPF_STMT(BPF_RET | BPF_K, 0),
};

/* libpcap's instructions are the kernel's, under another name */
_Static_assert(sizeof(struct bpf_insn) == sizeof(struct sock_filter), "copied one for one");

static int compile(const char *text, size_t snaplen, struct bpf_program *out, struct err *e)
{
	pcap_t *dead = pcap_open_dead(DLT_RAW, (int)snaplen);
	int failed = 0;

	if (!dead)
		return err_set(e, -ENOMEM, "filter: out of memory");
	if (pcap_compile(dead, out, *text ? text : HANDLE_FILTER_USUAL, 1, PCAP_NETMASK_UNKNOWN) <
	    0)
		failed = err_set(e, -EINVAL, "filter '%s' for pods: %s", text, pcap_geterr(dead));
	pcap_close(dead);
	return failed;
}

static struct packet_filter *join(const struct bpf_program *found)
{
	size_t begin = COUNT_OF(prologue), count = begin + found->bf_len;
	struct packet_filter *f;

	if (count > PROGRAM_MAX)
		return NULL;
	f = calloc(1, sizeof(*f) + count * sizeof(f->code[0]));
	if (!f)
		return NULL;
	memcpy(f->code, prologue, sizeof(prologue));
	memcpy(f->code + begin, found->bf_insns, found->bf_len * sizeof(f->code[0]));
	f->program = (struct sock_fprog){.len = (unsigned short)count, .filter = f->code};
	return f;
}

int packet_filter_new(const char *text, size_t snaplen, struct packet_filter **f_out, struct err *e)
{
	struct bpf_program found;
	struct packet_filter *f;
	int failed = compile(text, snaplen, &found, e);

	if (failed < 0)
		return failed;
	f = join(&found);
	pcap_freecode(&found);
	if (!f)
		return err_set(e, -ENOMEM, "filter '%s': too long, or out of memory", text);
	*f_out = f;
	return 0;
}

void packet_filter_free(struct packet_filter *f)
{
	free(f);
}

int packet_filter_attach(const struct packet_filter *f, int fd)
{
	struct sock_filter nothing[] = {BPF_STMT(BPF_RET | BPF_K, 0)};
	const struct sock_fprog none = {.len = 1, .filter = nothing};

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, f ? &f->program : &none,
			  sizeof(struct sock_fprog)) < 0
		       ? -errno
		       : 0;
}
