// SPDX-License-Identifier: Apache-2.0
#include "record/opener.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "record/netns.h"

/*
 * Theory of operation. Two processes and a pair of SOCK_SEQPACKET sockets, one letter each way:
 *
 *	daemon, without privileges               opener, with CAP_SYS_ADMIN, CAP_NET_RAW, CAP_SYS_PTRACE
 *	  OPEN path, inode        ──────────►      setns() in a thread of its own, socket(AF_PACKET)
 *	                          ◄──────────      the descriptor (SCM_RIGHTS), or why not
 *
 * What the daemon gets is a socket that is bound to nothing; all else (filter, ring, binding) takes no
 * privilege. The opener refuses its own namespace, and that of process 1, which is the host's where the
 * daemon is itself in a pod that sees the host's processes: whoever takes the daemon over gets into pods, which the
 * daemon listens to anyway, not into the host's network. Pods in the host's network, and a runtime's processes on
 * their way into a pod, are in a pod's control group and in that namespace.
 *
 * It ends when the daemon does: its read() returns 0 then, whatever signal ended the daemon.
 */
enum verb { OPEN, ADDRESSES, NETNS_OF };

struct request {
	enum verb verb;
	uint32_t inode;
	uint32_t count;
	union {
		char path[NETNS_PATH_MAX];
		pid_t pids[OPENER_PIDS_MAX];
	};
};

struct reply {
	int result;
	union {
		char why[ERR_WHY_MAX];
		uint8_t addresses[OPENER_ADDRESSES_MAX][16];
		uint32_t inodes[OPENER_PIDS_MAX];
	};
};

struct opener {
	int fd;
	pid_t pid;
	struct request request;
	struct reply reply;
};

/* --- in the opener --- */

struct errand {
	const struct request *request;
	struct reply *reply;
	const uint64_t *homes; /* inodes of our own namespace and the host's; 0: not known */
	int fd;		       /* what goes along with the reply; -1: nothing */
};

static void keep_address(void *ctx, const uint8_t address[16])
{
	struct reply *r = ctx;

	if (r->result < OPENER_ADDRESSES_MAX)
		memcpy(r->addresses[r->result++], address, 16);
}

/* Runs inside the namespace. */
static int do_there(void *arg, struct err *e)
{
	struct errand *job = arg;
	uint64_t inode = netns_inode(NULL);
	const char *path = job->request->path;

	if (inode == job->homes[0] || inode == job->homes[1])
		return err_set(e, -EINVAL, "network namespace %.200s: it is the host's, or our own",
			       path);
	if (job->request->inode && inode != job->request->inode)
		return err_set(e, -ESTALE, "network namespace %.200s: it is another one by now",
			       path);
	if (job->request->verb == ADDRESSES) {
		job->reply->result = 0;
		return netns_addresses(keep_address, job->reply);
	}
	job->fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	return job->fd < 0 ? err_set(e, -errno, "network namespace %.200s: packet socket: %s", path,
				     strerror(errno))
			   : 0;
}

static void serve_path(struct errand *job)
{
	struct err e = {0};
	int failed = netns_run(job->request->path, do_there, job, &e);

	if (failed >= 0)
		return;
	job->reply->result = failed;
	memcpy(job->reply->why, e.why, sizeof(e.why));
}

static void serve_pids(struct errand *job)
{
	char path[64];

	for (uint32_t i = 0; i < MIN(job->request->count, (uint32_t)OPENER_PIDS_MAX); i++) {
		(void)snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)job->request->pids[i]);
		job->reply->inodes[i] = (uint32_t)netns_inode(path);
	}
}

/* One letter, perhaps with a descriptor. */
static bool send_letter(int to, const void *bytes, size_t len, int fd)
{
	struct iovec piece = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = len};
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {0};
	struct msghdr m = {.msg_iov = &piece, .msg_iovlen = 1};

	if (fd >= 0) {
		struct cmsghdr *c = (struct cmsghdr *)(void *)control;

		m.msg_control = control;
		m.msg_controllen = sizeof(control);
		*c = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(int)),
				      .cmsg_level = SOL_SOCKET,
				      .cmsg_type = SCM_RIGHTS};
		memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	}
	return sendmsg(to, &m, MSG_NOSIGNAL) == (ssize_t)len;
}

static void serve(struct opener *o)
{
	const uint64_t homes[] = {netns_inode(NULL), netns_inode("/proc/1/ns/net")};

	while (read(o->fd, &o->request, sizeof(o->request)) == (ssize_t)sizeof(o->request)) {
		struct errand job = {
			.request = &o->request, .reply = &o->reply, .homes = homes, .fd = -1};

		o->reply = (struct reply){0};
		o->request.path[sizeof(o->request.path) - 1] = '\0';
		if (o->request.verb == NETNS_OF)
			serve_pids(&job);
		else
			serve_path(&job);
		if (!send_letter(o->fd, &o->reply, sizeof(o->reply), job.fd))
			return;
		if (job.fd >= 0)
			(void)close(job.fd);
	}
}

static void be_the_opener(struct opener *o, int (*drop)(struct err *e)) __attribute__((noreturn));
static void be_the_opener(struct opener *o, int (*drop)(struct err *e))
{
	struct err e = {0};

	/* nothing of the daemon's but the socket, which becomes 3, and what it speaks to */
	if (dup2(o->fd, 3) != 3 || close_range(4, ~0U, 0) < 0)
		_exit(1);
	o->fd = 3;
	(void)prctl(PR_SET_NAME, "tapeloop-opener");
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	o->reply = (struct reply){.result = drop ? drop(&e) : 0};
	memcpy(o->reply.why, e.why, sizeof(e.why));
	if (send_letter(o->fd, &o->reply, sizeof(o->reply), -1) && o->reply.result == 0)
		serve(o);
	_exit(0);
}

/* --- in the daemon --- */

/* Return: the descriptor that came along, or -1 */
static int fd_of(struct msghdr *m)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(m);
	int fd = -1;

	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
	    c->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	return fd;
}

static int receive(struct opener *o, int *fd_out, struct err *e)
{
	struct iovec piece = {.iov_base = &o->reply, .iov_len = sizeof(o->reply)};
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))];
	struct msghdr m = {.msg_iov = &piece,
			   .msg_iovlen = 1,
			   .msg_control = control,
			   .msg_controllen = sizeof(control)};
	ssize_t n;

	do
		n = recvmsg(o->fd, &m, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n != (ssize_t)sizeof(o->reply))
		return err_set(e, -EPIPE, "the opener has ended");
	*fd_out = fd_of(&m);
	return o->reply.result < 0
		       ? err_set(e, o->reply.result, "%.*s", ERR_WHY_MAX - 1, o->reply.why)
		       : o->reply.result;
}

static int ask(struct opener *o, int *fd_out, struct err *e)
{
	if (!send_letter(o->fd, &o->request, sizeof(o->request), -1))
		return err_set(e, -EPIPE, "the opener has ended");
	return receive(o, fd_out, e);
}

static int ask_about(struct opener *o, enum verb verb, const char *path, uint32_t inode,
		     int *fd_out, struct err *e)
{
	o->request = (struct request){.verb = verb, .inode = inode};
	if (netns_path(path, o->request.path, e) < 0)
		return -ENAMETOOLONG;
	return ask(o, fd_out, e);
}

int opener_start(int (*drop)(struct err *e), struct opener **o_out, struct err *e)
{
	struct opener *o = calloc(1, sizeof(*o));
	int pair[2], none, failed;

	if (!o)
		return err_set(e, -ENOMEM, "opener: out of memory");
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
		free(o);
		return err_set(e, -errno, "opener: %s", strerror(errno));
	}
	o->fd = pair[1];
	o->pid = fork();
	if (o->pid == 0)
		be_the_opener(o, drop);
	(void)close(pair[1]);
	o->fd = pair[0];
	failed = o->pid < 0 ? err_set(e, -errno, "opener: no process: %s", strerror(errno))
			    : receive(o, &none, e);
	if (failed < 0) {
		opener_stop(o);
		return failed;
	}
	*o_out = o;
	return 0;
}

void opener_stop(struct opener *o)
{
	if (!o)
		return;
	(void)close(o->fd);
	if (o->pid > 0)
		(void)waitpid(o->pid, NULL, 0);
	free(o);
}

int opener_open(struct opener *o, const char *path, uint32_t inode, struct err *e)
{
	int fd = -1, failed = ask_about(o, OPEN, path, inode, &fd, e);

	return failed < 0 ? failed
	       : fd >= 0  ? fd
			  : err_set(e, -EIO, "the opener sent nothing along");
}

int opener_addresses(struct opener *o, const char *path, uint8_t out[OPENER_ADDRESSES_MAX][16],
		     struct err *e)
{
	int none, count = ask_about(o, ADDRESSES, path, 0, &none, e);

	if (count > 0)
		memcpy(out, o->reply.addresses, sizeof(o->reply.addresses));
	return count;
}

int opener_netns_of(struct opener *o, const pid_t *pids, size_t count, uint32_t *inodes_out,
		    struct err *e)
{
	for (size_t done = 0; done < count; done += OPENER_PIDS_MAX) {
		size_t n = MIN(count - done, (size_t)OPENER_PIDS_MAX);
		int none, failed;

		o->request = (struct request){.verb = NETNS_OF, .count = (uint32_t)n};
		memcpy(o->request.pids, pids + done, n * sizeof(*pids));
		failed = ask(o, &none, e);
		if (failed < 0)
			return failed;
		memcpy(inodes_out + done, o->reply.inodes, n * sizeof(*inodes_out));
	}
	return 0;
}
