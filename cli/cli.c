// SPDX-License-Identifier: Apache-2.0
/*
 * Theory of operation
 *
 * Answers go to stdout through cli_print(), everything else to stderr. A reader that goes away
 * (`| head`) is no error: SIGPIPE is ignored, the write fails with EPIPE, the command stops and the
 * status is what it was. A full disk is an error, and found at cli_finish() at the latest.
 *
 * The first SIGINT or SIGTERM sets a flag that the loops ask; the second one ends the process, for
 * the impatient. These flags are the state of stdout, stderr and the signals, of which a process
 * has one each; nothing else is kept outside of structs.
 */
#include "cli/cli.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

static volatile sig_atomic_t was_interrupted;
static bool is_pipe_closed;
static int write_error; /* errno of the first write that failed otherwise */
static uint64_t progress_ns;
static bool is_progress_shown;

static void on_signal(int sig)
{
	was_interrupted = 1;
	(void)signal(sig, SIG_DFL);
}

void cli_catch_signals(void)
{
	struct sigaction act = {.sa_handler = on_signal};

	(void)sigaction(SIGINT, &act, NULL);
	(void)sigaction(SIGTERM, &act, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
}

bool cli_is_interrupted(void)
{
	return was_interrupted != 0;
}

static const char *program = "tapeloop";

void cli_called(const char *name)
{
	program = name;
}

const char *cli_program(void)
{
	return program;
}

int cli_fail(const struct cli *cli, const struct err *e)
{
	cli_progress_end();
	(void)fprintf(stderr, "%s %s: %s\n", cli_program(), cli->command->name, e->why);
	switch (e->code) {
	case -EINVAL: return CLI_USAGE;
	case -ENOENT:
	case -ENOTUNIQ: return CLI_DIFFERS;
	default: return CLI_FAILED;
	}
}

int cli_usage(const struct cli *cli, const char *fmt, ...)
{
	va_list ap;

	(void)fprintf(stderr, "%s %s: ", cli_program(), cli->command->name);
	va_start(ap, fmt);
	(void)vfprintf(stderr, fmt, ap);
	va_end(ap);
	(void)fprintf(stderr, "\nSee `%s %s --help`.\n", cli_program(), cli->command->name);
	return CLI_USAGE;
}

void cli_note(const char *fmt, ...)
{
	va_list ap;

	cli_progress_end();
	va_start(ap, fmt);
	(void)vfprintf(stderr, fmt, ap);
	va_end(ap);
	(void)fputc('\n', stderr);
}

int cli_print(struct buf *b)
{
	size_t done = 0;

	if (b->is_failed)
		write_error = ENOMEM;
	while (done < b->len && !is_pipe_closed && !write_error) {
		ssize_t n = write(STDOUT_FILENO, b->ptr + done, b->len - done);

		if (n >= 0)
			done += (size_t)n;
		else if (errno == EPIPE)
			is_pipe_closed = true;
		else if (errno != EINTR)
			write_error = errno;
	}
	buf_clear(b);
	return is_pipe_closed ? -EPIPE : -write_error;
}

int cli_finish(int status)
{
	cli_progress_end();
	if (write_error == 0)
		return status;
	(void)fprintf(stderr, "tapeloop: cannot write the answer: %s\n", strerror(write_error));
	return CLI_FAILED;
}

void cli_progress(const char *fmt, ...)
{
	uint64_t now = clock_mono_ns();
	va_list ap;

	if (!isatty(STDERR_FILENO) || now - progress_ns < NS_PER_S / 10)
		return;
	progress_ns = now;
	is_progress_shown = true;
	(void)fputs("\r\033[K", stderr);
	va_start(ap, fmt);
	(void)vfprintf(stderr, fmt, ap);
	va_end(ap);
	(void)fflush(stderr);
}

void cli_progress_end(void)
{
	if (is_progress_shown)
		(void)fputs("\r\033[K", stderr);
	is_progress_shown = false;
}
