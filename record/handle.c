// SPDX-License-Identifier: Apache-2.0
#include "record/handle.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netpacket/packet.h>
#include <pcap/pcap.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>

#include "record/netns.h"

/*
 * Theory of operation. libpcap with a TPACKET_V3 ring: the kernel fills blocks of 256 KiB and wakes
 * us when one is full or its time is over. Immediate mode would choose TPACKET_V2, which loses
 * packets at a tenth of the rate, so it stays off and handle_read() is told not to block.
 *
 * Counting. The kernel's account is to balance exactly at the end: received = handed to us +
 * dropped. Three things stand in the way and are dealt with:
 *
 *	between activation and filter, everything arrives: a filter that takes nothing is attached
 *	first, the ring emptied, and counting begins there;
 *	on loopback each packet passes twice, and libpcap throws away one copy after the kernel has
 *	counted it: the filter leaves out the outgoing copy already in the kernel;
 *	at the end the ring holds packets: handle_shut() attaches the filter that takes nothing,
 *then what is left is read.
 *
 * An interface that was removed leaves its socket behind, bound to nothing. Binding it to another
 * one of the same name takes no privilege, unlike a new socket: that is how capture goes on when a
 * container or a VPN is started again.
 *
 * "any" is what is opened where no interface is named: in a pod's namespace it sees loopback too,
 * where a service mesh's proxy talks to the application.
 */
#define ANY	     "any"
#define NAME_BYTES   256
#define FILTER_BYTES 8192
#define OPEN_WAITS   20 /* times poll_ns for the ring to become empty at the beginning */

struct handle {
	pcap_t *pcap;
	char name[NAME_BYTES];
	char path[NETNS_PATH_MAX]; /* of the namespace; "" for our own */
	char *pod;		   /* its name, when it is not ours */
	char interface[IFNAMSIZ];  /* "": all of them */
	unsigned hardware;	   /* ARPHRD_ number of the interface */
	uint64_t netns;		   /* inode of the namespace */
	struct handle_stats stats;
	uint32_t recv_last, drop_last; /* libpcap's counts, which wrap */
	struct identity_seen *seen;
	size_t seen_count;
};

/* What handle_open() takes along into the namespace. */
struct opening {
	const struct handle_config *config;
	struct handle *s;
};

void handle_close(struct handle *s)
{
	if (!s)
		return;
	if (s->pcap)
		pcap_close(s->pcap);
	free(s->pod);
	free(s->seen);
	free(s);
}

static const char *interface_of(const struct handle_config *c)
{
	return c->interface ? c->interface : ANY;
}

static int refuse(const struct handle *s, int status, struct err *e)
{
	const char *why = pcap_geterr(s->pcap);

	switch (status) {
	case PCAP_ERROR_NO_SUCH_DEVICE:
		return err_set(e, -ENODEV, "interface %s: there is no such interface", s->name);
	case PCAP_ERROR_PERM_DENIED:
	case PCAP_ERROR_PROMISC_PERM_DENIED:
		return err_set(e, -EPERM,
			       "interface %s: not permitted: capturing needs CAP_NET_RAW", s->name);
	case PCAP_ERROR_IFACE_NOT_UP:
		return err_set(e, -ENETDOWN, "interface %s: is not up", s->name);
	default:
		return err_set(e, -EIO, "interface %s: %s", s->name,
			       *why ? why : pcap_statustostr(status));
	}
}

static int activate(struct handle *s, const struct handle_config *c, struct err *e)
{
	char why[PCAP_ERRBUF_SIZE] = "";
	int status;

	s->pcap = pcap_create(interface_of(c), why);
	if (!s->pcap)
		return err_set(e, -EIO, "interface %s: %s", s->name, why);
	(void)pcap_set_snaplen(s->pcap, (int)c->snaplen);
	(void)pcap_set_timeout(s->pcap, (int)(c->poll_ns / NS_PER_MS));
	(void)pcap_set_buffer_size(s->pcap, (int)c->buffer_bytes);
	(void)pcap_set_tstamp_precision(s->pcap, PCAP_TSTAMP_PRECISION_NANO);
	status = pcap_activate(s->pcap);
	if (status < 0)
		return refuse(s, status, e);
	if (!c->interface && pcap_set_datalink(s->pcap, DLT_LINUX_SLL2) < 0)
		return refuse(s, PCAP_ERROR, e);
	if (pcap_setnonblock(s->pcap, 1, why) < 0)
		return err_set(e, -EIO, "interface %s: %s", s->name, why);
	return 0;
}

/* Take nothing: one instruction that returns 0. */
static void take_nothing(const struct handle *s)
{
	struct sock_filter nothing[] = {{.code = BPF_RET | BPF_K, .k = 0}};
	struct sock_fprog program = {.len = 1, .filter = nothing};

	(void)setsockopt(pcap_fileno(s->pcap), SOL_SOCKET, SO_ATTACH_FILTER, &program,
			 sizeof(program));
}

static void ignore(u_char *drained, const struct pcap_pkthdr *h, const u_char *bytes)
{
	(void)h;
	(void)bytes;
	++*(uint64_t *)(void *)drained;
}

/* Add what came since the last call; libpcap's numbers have 32 bits and wrap. */
static void count_on(struct handle *s)
{
	struct pcap_stat now = {0};

	if (pcap_stats(s->pcap, &now) < 0)
		return;
	s->stats.received += (uint32_t)(now.ps_recv - s->recv_last);
	s->stats.dropped += (uint32_t)(now.ps_drop - s->drop_last);
	s->recv_last = now.ps_recv;
	s->drop_last = now.ps_drop;
}

/*
 * Empty the ring of what came before the filter: what the kernel has counted must come out of it, but for the
 * copies on loopback that libpcap keeps to itself. A packet may be on its way past the old filter for a moment.
 */
static void begin_counting(struct handle *s, uint64_t poll_ns)
{
	const struct timespec moment = {.tv_nsec = (long)NS_PER_MS};
	struct pollfd p = {.fd = handle_fd(s), .events = POLLIN};
	uint64_t drained = 0;
	int ready = 1;

	take_nothing(s);
	(void)nanosleep(&moment, NULL);
	for (int i = 0; i < OPEN_WAITS && ready > 0; i++) {
		count_on(s);
		if (drained + s->stats.dropped >= s->stats.received)
			break;
		ready = poll(&p, 1, (int)(HANDLE_QUIET * poll_ns / NS_PER_MS));
		(void)pcap_dispatch(s->pcap, -1, ignore, (u_char *)&drained);
	}
	count_on(s);
	s->stats = (struct handle_stats){0};
}

/* Behind "vlan" libpcap's offsets are shifted, so that comes last; the cooked link type of "any" has no VLAN tags. */

static const char *filter_of(const struct handle_config *c)
{
	if (*c->bpf)
		return c->bpf;
	return c->interface ? HANDLE_FILTER_USUAL " or (vlan and (" HANDLE_FILTER_USUAL "))"
			    : HANDLE_FILTER_USUAL;
}

/* The filter, without the second copy of what passes through loopback. */
static void whole_filter(const struct handle_config *c, char out[FILTER_BYTES])
{
	unsigned lo = if_nametoindex("lo");
	const char *filter = filter_of(c);

	if (!c->interface && lo)
		(void)snprintf(out, FILTER_BYTES, "(%s) and not (outbound and ifindex %u)", filter,
			       lo);
	else if (c->interface && strcmp(c->interface, "lo") == 0)
		(void)snprintf(out, FILTER_BYTES, "(%s) and inbound", filter);
	else
		(void)snprintf(out, FILTER_BYTES, "%s", filter);
}

static int set_filter(struct handle *s, const struct handle_config *c, struct err *e)
{
	char text[FILTER_BYTES];
	struct bpf_program program;
	int failed;

	whole_filter(c, text);
	if (pcap_compile(s->pcap, &program, text, 1, PCAP_NETMASK_UNKNOWN) < 0)
		return err_set(e, -EINVAL, "interface %s: filter '%s': %s", s->name, filter_of(c),
			       pcap_geterr(s->pcap));
	failed = pcap_setfilter(s->pcap, &program);
	pcap_freecode(&program);
	return failed < 0 ? refuse(s, failed, e) : 0;
}

static void add_seen(void *ctx, const uint8_t address[16])
{
	struct handle *s = ctx;
	struct identity_seen *more = realloc(s->seen, (s->seen_count + 1) * sizeof(*more));

	if (!more)
		return; /* an address without a name: nothing worse */
	s->seen = more;
	more[s->seen_count].pod = s->pod;
	memcpy(more[s->seen_count++].address, address, 16);
}

/* Ask the handle's namespace about its interface. Return: false: there is none */
static bool ask_interface(const struct handle *s, unsigned long what, struct ifreq *r)
{
	*r = (struct ifreq){0};
	memcpy(r->ifr_name, s->interface, sizeof(r->ifr_name));
	return ioctl(pcap_fileno(s->pcap), what, r) == 0;
}

static void remember_interface(struct handle *s, const struct handle_config *c)
{
	struct ifreq r;

	if (!c->interface)
		return;
	(void)snprintf(s->interface, sizeof(s->interface), "%s", c->interface);
	if (ask_interface(s, SIOCGIFHWADDR, &r))
		s->hardware = r.ifr_hwaddr.sa_family;
}

/* Runs inside the namespace. */
static int open_there(void *arg, struct err *e)
{
	struct opening *o = arg;
	struct handle *s = o->s;
	int failed;

	s->netns = netns_inode(NULL);
	failed = activate(s, o->config, e);
	if (failed < 0)
		return failed;
	remember_interface(s, o->config);
	begin_counting(s, o->config->poll_ns);
	failed = set_filter(s, o->config, e);
	if (failed == 0 && s->pod && netns_addresses(add_seen, s) < 0)
		s->seen_count = 0; /* exchanges without the pod's name: nothing worse */
	return failed;
}

static int name_it(struct handle *s, const struct handle_config *c, struct err *e)
{
	const char *slash = c->netns ? strrchr(c->netns, '/') : NULL;

	(void)snprintf(s->name, sizeof(s->name), "%s%s%s", c->netns ? c->netns : "",
		       c->netns ? ":" : "", interface_of(c));
	if (!c->netns)
		return 0;
	s->pod = strdup(slash ? slash + 1 : c->netns);
	if (!s->pod)
		return err_set(e, -ENOMEM, "interface %s: out of memory", s->name);
	return netns_path(c->netns, s->path, e);
}

int handle_open(const struct handle_config *config, struct handle **s_out, struct err *e)
{
	AUTO(handle) s = calloc(1, sizeof(*s));
	struct opening o = {config, s};
	int failed;

	if (!s)
		return err_set(e, -ENOMEM, "interface %s: out of memory", interface_of(config));
	failed = name_it(s, config, e);
	if (failed == 0)
		failed = netns_run(*s->path ? s->path : NULL, open_there, &o, e);
	if (failed < 0)
		return failed;
	*s_out = TAKE(s);
	return 0;
}

/* What the callback of libpcap gets. */
struct reading {
	handle_packet_fn *fn;
	void *ctx;
};

static void give_packet(u_char *arg, const struct pcap_pkthdr *h, const u_char *bytes)
{
	const struct reading *rd = (const struct reading *)(const void *)arg;
	/* with nanosecond precision tv_usec counts ns */
	uint64_t ts_ns = (uint64_t)h->ts.tv_sec * NS_PER_S + (uint64_t)h->ts.tv_usec;

	rd->fn(rd->ctx, ts_ns, span_of(bytes, h->caplen), MAX(h->len, h->caplen));
}

int handle_read(struct handle *s, int most, handle_packet_fn *fn, void *ctx, struct err *e)
{
	struct reading rd = {fn, ctx};
	int n = pcap_dispatch(s->pcap, most, give_packet, (u_char *)&rd);

	if (n >= 0)
		return n;
	return err_set(e, strstr(pcap_geterr(s->pcap), "disappeared") ? -ENETDOWN : -EIO,
		       "interface %s: %s", s->name, pcap_geterr(s->pcap));
}

void handle_shut(struct handle *s)
{
	take_nothing(s);
}

int handle_rebind(struct handle *s)
{
	struct sockaddr_ll at = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
	int error, fd = pcap_fileno(s->pcap);
	socklen_t bytes = sizeof(error);
	struct ifreq r;

	if (!s->interface[0] || !ask_interface(s, SIOCGIFHWADDR, &r))
		return -ENODEV;
	if (r.ifr_hwaddr.sa_family != s->hardware)
		return -EMEDIUMTYPE;
	if (!ask_interface(s, SIOCGIFINDEX, &r))
		return -ENODEV;
	at.sll_ifindex = r.ifr_ifindex;
	if (bind(fd, (const struct sockaddr *)&at, sizeof(at)) < 0)
		return -ENODEV;
	(void)getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &bytes); /* takes the old error away */
	return 0;
}

bool handle_is_gone(const struct handle *s)
{
	return *s->path && netns_inode(s->path) != s->netns;
}

int handle_fd(const struct handle *s)
{
	return pcap_get_selectable_fd(s->pcap);
}

int handle_linktype(const struct handle *s)
{
	return pcap_datalink(s->pcap);
}

uint64_t handle_netns(const struct handle *s)
{
	return s->netns;
}

const char *handle_name(const struct handle *s)
{
	return s->name;
}

void handle_stats(struct handle *s, struct handle_stats *out)
{
	count_on(s);
	*out = s->stats;
}

const struct identity_seen *handle_seen(const struct handle *s, size_t *count_out)
{
	*count_out = s->seen_count;
	return s->seen;
}

int handle_check_bpf(const char *bpf, struct err *e)
{
	pcap_t *dead = pcap_open_dead(DLT_EN10MB, 65535);
	struct bpf_program program;
	int failed = 0;

	if (!dead)
		return err_set(e, -ENOMEM, "out of memory");
	if (pcap_compile(dead, &program, bpf, 1, PCAP_NETMASK_UNKNOWN) < 0)
		failed = err_set(e, -EINVAL, "'%s': %s", bpf, pcap_geterr(dead));
	else
		pcap_freecode(&program);
	pcap_close(dead);
	return failed;
}
