// SPDX-License-Identifier: Apache-2.0
/*
 * doctor: is all accounted for, and which setting to turn
 *
 * Theory of operation
 *
 * A daemon is asked for its health, its counters and its tapes. Each account must balance: what
 * came in is what went out and what is on its way. The numbers are read while threads run, so an
 * account is held to be open only when it is so in several looks. Then cli/losses.tbl.h says, for
 * each counter above 0, what it means and which setting to turn.
 *
 * When no daemon answers, the question is why: no socket, no right to it, nobody behind it. A store
 * opened directly is read: every tape, with --deep every exchange.
 */
#include <errno.h>
#include <grp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cli/plain.h"
#include "cli/source.h"
#include "cli/table.h"
#include "cli/view.h"
#include "cli/when.h"
#include "lib/json.h"

enum level { LEVEL_OK, LEVEL_NOTE, LEVEL_LOST, LEVEL_CANNOT };

static const char *const level_names[] = {"ok", "note", "LOST", "FAILED"};
static const char *const level_keys[] = {"ok", "note", "lost", "failed"}; /* in JSON */
static const enum style level_styles[] = {STYLE_GREEN, STYLE_PLAIN, STYLE_RED, STYLE_RED};

struct doctor_args {
	struct source_args source;
	bool is_deep;
	unsigned form; /* 0 table, 1 json */
};

static const struct option_row doctor_options[] = {
	{.name = "deep",
	 .kind = OPTION_FLAG,
	 OPTION_AT(struct doctor_args, is_deep),
	 .what = "read every exchange with its bytes, to be sure that the tapes are sound"},
	{.name = "output",
	 .letter = 'o',
	 .kind = OPTION_CHOICE,
	 OPTION_AT(struct doctor_args, form),
	 .value = "FORM",
	 .fallback = "table",
	 .choices = "table json",
	 .what = "how it is shown"},
	SOURCE_OPTIONS(struct doctor_args, source),
	{0},
};

struct loss_row {
	uint8_t counter;
	uint8_t level;
	const char *setting, *advice;
};

static const struct loss_row losses[] = {
#define LEVEL_OF_LOST			   LEVEL_LOST
#define LEVEL_OF_NOTE			   LEVEL_NOTE
#define LOSS(NAME, LEVEL, setting, advice) {COUNTER_##NAME, LEVEL_OF_##LEVEL, setting, advice},
#include "cli/losses.tbl.h"
#undef LOSS
};

static const struct table_column columns[] = {
	{.title = "CHECK"},
	{.title = ""},
	{.title = "FINDING"},
};

struct doctor {
	struct cli *cli;
	struct table *table; /* NULL for JSON */
	struct json json;
	struct buf out;
	enum level worst;
	uint64_t exchanges, bytes, tapes, first_ns, last_ns;
};

static void find(struct doctor *d, enum level level, const char *area, const char *setting,
		 const char *fmt, ...) PRINTF_LIKE(5, 6);

static void find(struct doctor *d, enum level level, const char *area, const char *setting,
		 const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	d->worst = MAX(d->worst, level);
	if (d->table) {
		table_cell(d->table, span_str(area), STYLE_PLAIN);
		table_cell(d->table, span_str(level_names[level]), level_styles[level]);
		table_cell_fmt(d->table, STYLE_PLAIN, "%s%s%s%s", text, setting[0] ? " [" : "",
			       setting, setting[0] ? "]" : "");
		return;
	}
	json_object_begin(&d->json);
	json_key_str(&d->json, "check", area);
	json_key_str(&d->json, "level", level_keys[level]);
	json_key_str(&d->json, "text", text);
	json_key_str(&d->json, "setting", setting[0] ? setting : NULL);
	json_object_end(&d->json);
}

/* 1204112 -> "1,204,112" */
#define GROUPED_MAX 32
static const char *grouped(uint64_t n, char out[GROUPED_MAX])
{
	char digits[24];
	int len = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)n);
	char *to = out;

	for (int i = 0; i < len; i++) {
		if (i && (len - i) % 3 == 0)
			*to++ = ',';
		*to++ = digits[i];
	}
	*to = '\0';
	return out;
}

static uint64_t account_in(const struct counters *c, enum counter_account account)
{
	uint64_t n = 0;

	for (int i = 0; i < COUNTER_COUNT; i++)
		if (counter_rows[i].account == account && counter_rows[i].role == COUNTER_ROLE_IN)
			n += counter_get(c, (enum counter)i);
	return n;
}

#define LOOKS	     4
#define LOOK_WAIT_NS (400 * NS_PER_MS)

/* the smallest imbalance of several looks: what is in flight balances out in one of them */
static int least_imbalance(struct source *s, struct counters *c, int64_t off[COUNTER_ACCOUNT_COUNT],
			   struct err *e)
{
	size_t unknown;
	bool is_open = true;

	for (int look = 0; look < LOOKS && is_open; look++) {
		int r;

		if (look)
			(void)nanosleep(&(struct timespec){.tv_nsec = LOOK_WAIT_NS}, NULL);
		r = source_counters(s, c, &unknown, e);
		if (r < 0)
			return r;
		is_open = false;
		for (unsigned a = 0; a < COUNTER_ACCOUNT_COUNT; a++) {
			int64_t now = counters_balance(c, (enum counter_account)a);

			if (look == 0 || llabs(now) < llabs(off[a]))
				off[a] = now;
			is_open |= off[a] != 0;
		}
	}
	return unknown > INT32_MAX ? INT32_MAX : (int)unknown;
}

static void check_account(struct doctor *d, const struct counters *c, enum counter_account a,
			  int64_t off)
{
	char in[GROUPED_MAX], by[GROUPED_MAX];
	const char *name = counter_account_names[a];

	(void)grouped(account_in(c, a), in);
	(void)grouped((uint64_t)llabs(off), by);
	if (off == 0)
		find(d, LEVEL_OK, name, "", "%s in, all accounted for", in);
	else
		find(d, LEVEL_LOST, name, "", "%s in, %s %s: please report this as a fault", in, by,
		     off > 0 ? "went nowhere" : "more came out than went in");
}

static void check_losses(struct doctor *d, const struct counters *c)
{
	for (size_t i = 0; i < COUNT_OF(losses); i++) {
		const struct loss_row *row = &losses[i];
		const struct counter_row *counter = &counter_rows[row->counter];
		uint64_t n = counter_get(c, (enum counter)row->counter);
		char text[GROUPED_MAX];

		if (n)
			find(d, (enum level)row->level, counter_account_names[counter->account],
			     row->setting, "%s %s; %s", grouped(n, text), counter->what,
			     row->advice);
	}
}

static void check_counters(struct doctor *d, struct source *s)
{
	int64_t off[COUNTER_ACCOUNT_COUNT] = {0};
	struct counters c;
	struct err e = {0};
	int unknown = least_imbalance(s, &c, off, &e);

	if (unknown < 0) {
		find(d, LEVEL_CANNOT, "counters", "", "%s", e.why);
		return;
	}
	for (unsigned a = 0; a < COUNTER_ACCOUNT_COUNT; a++)
		check_account(d, &c, (enum counter_account)a, off[a]);
	if (counter_get(&c, COUNTER_PACKETS_IN) == 0)
		find(d, LEVEL_NOTE, "packets", "capture.interfaces",
		     "no packet was read yet: is there traffic where it captures?");
	else if (counter_get(&c, COUNTER_REQUESTS_IN) == 0)
		find(d, LEVEL_NOTE, "requests", "capture.bpf",
		     "packets, but no HTTP request in them: the wrong interface, or encrypted?");
	check_losses(d, &c);
	if (unknown)
		find(d, LEVEL_NOTE, "counters", "",
		     "%d counters are not known to this program: the daemon is newer", unknown);
}

static int on_tape(void *ctx, const struct tape_info *t)
{
	struct doctor *d = ctx;

	d->tapes++;
	if (t->damage)
		find(d, LEVEL_CANNOT, "tape", "", "%s", t->damage);
	d->exchanges += t->rows;
	d->bytes += t->bytes;
	if (t->rows && (d->first_ns == 0 || t->first_ns < d->first_ns))
		d->first_ns = t->first_ns;
	d->last_ns = MAX(d->last_ns, t->last_ns);
	return 0;
}

static void check_tapes(struct doctor *d, struct source *s)
{
	AUTO_BUF text = {0};
	char n[GROUPED_MAX];
	struct err e = {0};

	if (source_tapes(s, on_tape, d, &e) < 0) {
		find(d, LEVEL_CANNOT, "tapes", "", "%s", e.why);
		return;
	}
	buf_add_fmt(&text, "%s exchanges on %llu %s, ", grouped(d->exchanges, n),
		    (unsigned long long)d->tapes, d->tapes == 1 ? "tape" : "tapes");
	view_size(&text, d->bytes);
	buf_add_str(&text, "B");
	if (d->exchanges) {
		buf_add_str(&text, ", from ");
		when_local(&text, d->first_ns, d->cli->now_ns);
		buf_add_str(&text, " to ");
		when_local(&text, d->last_ns, d->cli->now_ns);
	}
	find(d, LEVEL_OK, "tapes", "", "%s", buf_cstr(&text));
}

static int on_read(void *ctx, const struct exchange *x)
{
	uint64_t *count = ctx;

	(void)x;
	if (++*count % 1024 == 0)
		cli_progress("%llu exchanges read", (unsigned long long)*count);
	return 0;
}

/* the newest with all its bytes, or every one: damaged rows cannot be read */
static void check_reading(struct doctor *d, struct source *s, bool is_deep)
{
	struct source_query q = {.limit = is_deep ? 0 : 1, .wants_messages = true};
	uint64_t count = 0;
	char n[GROUPED_MAX];
	struct err e = {0};

	if (source_list(s, &q, on_read, &count, NULL, &e) < 0)
		find(d, LEVEL_CANNOT, "reading", "", "after %s exchanges: %s", grouped(count, n),
		     e.why);
	else if (is_deep && cli_is_interrupted())
		find(d, LEVEL_NOTE, "reading", "", "interrupted after %s exchanges",
		     grouped(count, n));
	else if (is_deep)
		find(d, LEVEL_OK, "reading", "", "%s exchanges read back with every byte",
		     grouped(count, n));
	else if (count)
		find(d, LEVEL_OK, "reading", "", "the newest exchange reads back (--deep: all)");
	cli_progress_end();
}

/* why nobody answers at a unix socket */
static void explain_socket(struct doctor *d, const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0 && errno == ENOENT) {
		find(d, LEVEL_CANNOT, "daemon", "api.socket",
		     "%s is not there: is tapeloopd running? `systemctl status tapeloopd`; or name "
		     "a store with --store DIR",
		     path);
	} else if (access(path, R_OK | W_OK) < 0 && errno == EACCES) {
		const struct group *g = stat(path, &st) == 0 ? getgrgid(st.st_gid) : NULL;

		find(d, LEVEL_CANNOT, "daemon", "", "you may not open %s: %s%s%s", path,
		     g ? "join the group " : "ask as root", g ? g->gr_name : "",
		     g ? ", or ask as root" : "");
	} else if (errno == EACCES) {
		find(d, LEVEL_CANNOT, "daemon", "", "you may not enter the directory of %s", path);
	} else {
		find(d, LEVEL_CANNOT, "daemon", "",
		     "nobody answers at %s: tapeloopd has ended without removing it, or hangs",
		     path);
	}
}

static bool check_daemon(struct doctor *d, struct source *s)
{
	static const char prefix[] = "daemon at unix:";
	AUTO_BUF why = {0};
	struct err e = {0};
	int r = source_health(s, &why, &e);

	if (r == 1 && why.len)
		find(d, LEVEL_NOTE, "daemon", "", "recording, but %s", buf_cstr(&why));
	else if (r == 1)
		find(d, LEVEL_OK, "daemon", "", "recording; %s", source_name(s));
	else if (r == 0)
		find(d, LEVEL_LOST, "daemon", "", "not recording: %s", buf_cstr(&why));
	else if (r == -ECONNREFUSED && strncmp(source_name(s), prefix, strlen(prefix)) == 0)
		explain_socket(d, source_name(s) + strlen(prefix));
	else if (r != -ENOTSUP)
		find(d, LEVEL_CANNOT, "daemon", "", "%s", e.why);
	else
		find(d, LEVEL_NOTE, "daemon", "", "not asked: this is the %s itself",
		     source_name(s));
	return r >= 0;
}

static void examine(struct doctor *d, const struct doctor_args *a)
{
	AUTO(source) s = NULL;
	struct err e = {0};
	bool has_daemon;

	if (source_open(&a->source, &s, &e) < 0) {
		find(d, LEVEL_CANNOT, "store", "", "%s", e.why);
		return;
	}
	has_daemon = check_daemon(d, s);
	if (d->worst == LEVEL_CANNOT)
		return;
	if (has_daemon)
		check_counters(d, s);
	check_tapes(d, s);
	if (d->exchanges)
		check_reading(d, s, a->is_deep);
}

static const int level_status[] = {CLI_OK, CLI_OK, CLI_DIFFERS, CLI_FAILED};

static int run_doctor(struct cli *cli)
{
	const struct doctor_args *a = cli->args;
	struct screen screen = screen_of_stdout();
	struct doctor d = {.cli = cli};
	bool is_json = a->form == 1;

	screen.columns = 0; /* advice is not cut */
	d.json = json_to(&d.out);
	d.table = is_json ? NULL : table_new(columns, COUNT_OF(columns), &screen);
	if (is_json) {
		json_object_begin(&d.json);
		json_key(&d.json, "findings");
		json_array_begin(&d.json);
	}
	if (!is_json && !d.table)
		return cli_fail(cli, &(struct err){-ENOMEM, "out of memory"});
	examine(&d, a);
	if (is_json) {
		json_array_end(&d.json);
		json_key_str(&d.json, "worst", level_keys[d.worst]);
		json_object_end(&d.json);
		buf_add_char(&d.out, '\n');
	} else {
		table_print(d.table, &d.out);
	}
	(void)cli_print(&d.out);
	table_free(d.table);
	buf_fini(&d.out);
	return level_status[d.worst];
}

const struct command command_doctor = {
	.name = "doctor",
	.operands = "",
	.summary = "check that all is accounted for, and say which setting to turn",
	.details = "Asks a daemon for its health, counters and tapes; reads a store. The exit "
		   "status is 0 "
		   "when nothing is missing, 1 when something was lost or it does not record, 3 "
		   "when it "
		   "could not look. What stands in [] is the setting to turn.",
	.examples = "tapeloop doctor\tthe daemon of this machine\n"
		    "tapeloop doctor --store incident.tape --deep\tis this tape sound?\n",
	.options = doctor_options,
	.args_bytes = sizeof(struct doctor_args),
	.run = run_doctor,
};
