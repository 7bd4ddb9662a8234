// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <inttypes.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "daemon/own.h"
#include "daemon/service.h"
#include "daemon/privileges.h"
#include "daemon/watch.h"
#include "daemon/webhook.h"
#include "lib/clock.h"
#include "lib/log.h"

/*
 * Theory of operation. The main thread reads the settings, starts the service, and then waits for
 * signals, which come through a descriptor so that they meet nothing half done:
 *
 *	SIGTERM, SIGINT   stop: flush, commit, leave nothing behind, exit 0
 *	SIGHUP            read the settings again; an invalid file changes nothing
 *
 * A ConfigMap that was written anew is as good as SIGHUP (daemon/watch.c).
 *
 * Once a second it looks after the service manager's watchdog and after losses. It stays in the
 * foreground: becoming a daemon is the service manager's work.
 */
#define EXIT_USAGE  2
#define EXIT_FAILED 3
#define TICK_MS	    1000
#define ARENAS_MAX  2 /* of malloc: more would only waste memory, the hot path does not allocate */

static int say_errors(struct buf *errors)
{
	(void)fprintf(stderr, "%s", buf_cstr(errors));
	return EXIT_USAGE;
}

static int print(struct buf *text)
{
	if (fputs(buf_cstr(text), stdout) < 0 || fflush(stdout) != 0)
		return EXIT_FAILED;
	return EXIT_SUCCESS;
}

/* What ends at once. Return: exit status, or -1 to go on. */
static int answer(const struct invocation *how)
{
	AUTO_BUF text = {0};

	if (how->wants_help)
		settings_help(&text);
	else if (how->wants_version)
		buf_add_str(&text, "tapeloopd " TAPELOOP_VERSION "\n");
	else
		return -1;
	return print(&text);
}

/* for --own */
static int hand_over(const char *who, const struct chosen *chosen)
{
	struct err e;

	if (own_directories(&chosen->values, who, &e) == 0)
		return EXIT_SUCCESS;
	log_err("own", "%s", e.why);
	return e.code == -EINVAL ? EXIT_USAGE : EXIT_FAILED;
}

static int show(const struct invocation *how, const struct chosen *chosen)
{
	AUTO_BUF text = {0};

	if (how->wants_print)
		settings_print(chosen, &text);
	else
		buf_add_str(&text, "settings are in order\n");
	return print(&text);
}

/* All threads made later leave the signals to main. */
static int open_signals(struct err *e)
{
	sigset_t set;
	int fd;

	(void)signal(SIGPIPE, SIG_IGN);
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGHUP);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return fd < 0 ? err_set(e, -errno, "signalfd: %s", strerror(errno)) : fd;
}

static void say_lines(struct buf *lines)
{
	char *at = (char *)(uintptr_t)buf_cstr(lines), *line;

	while ((line = strsep(&at, "\n")))
		if (*line)
			log_err("settings", "%s", line);
}

static void reload(struct service *s, const struct invocation *how, char **argv)
{
	AUTO_BUF errors = {0};
	struct chosen fresh;
	struct err e = {0};

	(void)sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, clock_mono_ns() / NS_PER_US);
	if (settings_load(how, argv, &fresh, &errors) > 0) {
		say_lines(&errors);
		log_err("settings", "not reloaded: what was in force stays");
	} else if (service_change(s, &fresh, &e) < 0) {
		log_err("settings", "not reloaded: %s", e.why);
	} else {
		log_info("settings", "reloaded");
	}
	chosen_fini(&fresh);
	(void)sd_notify(0, "READY=1");
}

static void tick(struct service *s, uint64_t watchdog_us)
{
	AUTO_BUF status = {0};

	service_tick(s);
	service_status(s, &status);
	(void)sd_notifyf(0, "STATUS=%s", buf_cstr(&status));
	if (watchdog_us && service_is_alive(s))
		(void)sd_notify(0, "WATCHDOG=1");
}

/* Return: exit status, once there is a reason to end. */
static int wait_for_end(struct service *s, const struct invocation *how, char **argv, int signals,
			struct watch *volumes)
{
	struct pollfd p[] = {{.fd = signals, .events = POLLIN},
			     {.fd = watch_fd(volumes), .events = POLLIN}};
	struct signalfd_siginfo info;
	uint64_t watchdog_us = 0, tick_ms = TICK_MS;

	if (sd_watchdog_enabled(0, &watchdog_us) > 0)
		tick_ms = MAX(MIN(tick_ms, watchdog_us / 1000 / 2), 250U);
	for (;;) {
		if (poll(p, COUNT_OF(p), (int)tick_ms) <= 0) {
			tick(s, watchdog_us);
			if (service_is_useless(s)) {
				log_err("capture", "no interface is left");
				return EXIT_FAILED;
			}
			continue;
		}
		if (p[1].revents && watch_take(volumes))
			reload(s, how, argv);
		if (read(signals, &info, sizeof(info)) != sizeof(info))
			continue;
		if (info.ssi_signo != SIGHUP)
			return EXIT_SUCCESS;
		reload(s, how, argv);
	}
}

/* those of the settings and of the Downward API */
static struct watch *watch_volumes(const struct invocation *how, const struct settings *v)
{
	const char *paths[3] = {how->config_path ? how->config_path : SETTINGS_DEFAULT_PATH};
	AUTO_BUF pod = {0};

	buf_add_fmt(&pod, "%s/labels", v->kube_downward);
	if (*v->kube_downward)
		paths[1] = buf_cstr(&pod);
	return watch_new(paths);
}

static int run(struct chosen *chosen, const struct invocation *how, char **argv)
{
	struct service *s = NULL;
	struct watch *volumes = watch_volumes(how, &chosen->values);
	struct err e = {0};
	int status, signals = open_signals(&e);

	(void)log_level_parse(chosen->values.log_level, &log_level);
	(void)mallopt(M_ARENA_MAX, ARENAS_MAX);
	if (signals < 0 || service_start(chosen, &s, &e) < 0) {
		log_err("daemon", "%s", e.why);
		watch_free(volumes);
		return EXIT_FAILED;
	}
	(void)sd_notify(0, "READY=1");
	status = wait_for_end(s, how, argv, signals, volumes);
	(void)sd_notify(0, "STOPPING=1");
	if (service_stop(s, &e) < 0) {
		log_err("store", "at the end: %s", e.why);
		status = EXIT_FAILED;
	}
	(void)close(signals);
	watch_free(volumes);
	if (status == EXIT_SUCCESS)
		log_info("daemon", "stopped");
	return status;
}

/* While nodes still send reviews here. Another signal ends it. */
static void linger(const struct settings *s, int signals)
{
	struct pollfd p = {.fd = signals, .events = POLLIN};

	if (s->webhook_linger == 0)
		return;
	log_info("webhook", "told to end, answering a little longer");
	(void)poll(&p, 1, (int)(s->webhook_linger / NS_PER_MS));
}

/* Return: exit status, once a signal came. */
static int wait_as_webhook(struct webhook *w, const struct settings *s, int signals,
			   struct watch *volumes)
{
	struct pollfd p[] = {{.fd = signals, .events = POLLIN},
			     {.fd = watch_fd(volumes), .events = POLLIN}};
	struct signalfd_siginfo info;
	struct err e = {0};

	for (;;) {
		int renewed;

		if (poll(p, COUNT_OF(p), -1) < 0 && errno != EINTR)
			return EXIT_FAILED;
		if (p[1].revents)
			(void)watch_take(volumes);
		if (read(signals, &info, sizeof(info)) == sizeof(info) &&
		    info.ssi_signo != SIGHUP) {
			linger(s, signals);
			return EXIT_SUCCESS;
		}
		renewed = webhook_renew(w, &e);
		if (renewed < 0)
			log_err("webhook", "the certificate stays as it was: %s", e.why);
		else if (renewed)
			log_info("webhook", "the certificate is new");
	}
}

static int run_webhook(const struct settings *s)
{
	const char *const paths[] = {s->webhook_cert, s->webhook_key, NULL};
	struct watch *volumes = watch_new(paths);
	struct webhook *w = NULL;
	struct err e = {0};
	int status = EXIT_FAILED, signals = open_signals(&e);

	(void)log_level_parse(s->log_level, &log_level);
	(void)mallopt(M_ARENA_MAX, ARENAS_MAX);
	if (signals >= 0 && privileges_drop(&e) == 0 && webhook_start(s, &w, &e) == 0) {
		log_info("webhook", "answering listen=%s status=%s image=%s", webhook_address(w),
			 webhook_status_address(w), s->webhook_image);
		(void)sd_notify(0, "READY=1");
		status = wait_as_webhook(w, s, signals, volumes);
		(void)sd_notify(0, "STOPPING=1");
	} else {
		log_err("webhook", "%s", e.why);
	}
	webhook_stop(w);
	watch_free(volumes);
	if (signals >= 0)
		(void)close(signals);
	return status;
}

int main(int argc, char **argv)
{
	AUTO_BUF errors = {0};
	struct invocation how;
	struct chosen chosen;
	struct err e;
	int status;

	(void)argc;
	if (invocation_read(argv + 1, &how, &e) < 0) {
		(void)fprintf(stderr, "tapeloopd: %s\nTry 'tapeloopd --help'.\n", e.why);
		return EXIT_USAGE;
	}
	status = answer(&how);
	if (status >= 0)
		return status;
	if (settings_load(&how, argv + 1, &chosen, &errors) > 0)
		status = say_errors(&errors);
	else if (how.is_webhook && !how.is_check && !how.wants_print)
		status = run_webhook(&chosen.values);
	else if (how.own)
		status = hand_over(how.own, &chosen);
	else if (how.is_check || how.wants_print)
		status = show(&how, &chosen);
	else
		status = run(&chosen, &how, argv + 1);
	chosen_fini(&chosen);
	return status;
}
