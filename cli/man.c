// SPDX-License-Identifier: Apache-2.0
/*
 * man: manual pages from the tables
 *
 * Theory of operation
 *
 * tapeloop(1) is made from the tables of commands and options, tapeloopd(8) from that of settings,
 * tapeloop-filter(7) from those of fields, outcomes, reasons and anomalies, so that a page cannot
 * say other than the program does. The markup is mdoc(7). `make man` writes them; a test has mandoc
 * lint them.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>

#include "cli/filter_forms.h"
#include "cli/options.h"
#include "schema/fields.h"
#include "schema/settings.h"

#define DATE "November 22, 2026"

/* troff's own sign as text */
static void text_inside(struct buf *out, const char *s)
{
	for (; *s; s++) {
		if (*s == '\\')
			buf_add_str(out, "\\e");
		else
			buf_add_char(out, *s);
	}
}

/* text that begins a line must not be a request */
static void text(struct buf *out, const char *s)
{
	if (*s == '.' || *s == '\'')
		buf_add_str(out, "\\&");
	text_inside(out, s);
}

#define LINE_MAX 78

/* Words on lines that are not too long; a sentence begins a new one, as mdoc wants it. */
static void line(struct buf *out, const char *s)
{
	size_t column = 0;

	while (*s) {
		size_t len = strcspn(s, " \n");
		char word[256];

		(void)snprintf(word, sizeof(word), "%.*s", (int)len, s);
		if (column && column + 1 + len > LINE_MAX) {
			buf_add_char(out, '\n');
			column = 0;
		} else if (column) {
			buf_add_char(out, ' ');
			column++;
		}
		if (column)
			text_inside(out, word);
		else
			text(out, word);
		column += len;
		s += len;
		if (*s == ' ' && len && strchr(".?!", s[-1])) {
			buf_add_char(out, '\n');
			column = 0;
		}
		s += *s != '\0';
	}
	if (column)
		buf_add_char(out, '\n');
}

/* the tables have sentences with a small letter and no full stop */
static void sentence(struct buf *out, const char *what, const char *choices)
{
	AUTO_BUF all = {0};

	buf_add_char(&all, (char)toupper((unsigned char)what[0]));
	buf_add_str(&all, what + 1);
	if (choices)
		buf_add_fmt(&all, ": %s", choices);
	buf_add_char(&all, '.');
	line(out, buf_cstr(&all));
}

/* an argument of a macro: quoted, for it may hold blanks */
static void argument(struct buf *out, const char *s)
{
	buf_add_str(out, " \"");
	for (; *s; s++) {
		if (*s == '"')
			buf_add_str(out, "\\(dq");
		else if (*s == '\\')
			buf_add_str(out, "\\e");
		else
			buf_add_char(out, *s);
	}
	buf_add_char(out, '"');
}

static void title(struct buf *out, const char *name, const char *section, const char *what)
{
	char upper[64];
	size_t i = 0;

	for (; name[i] && i < sizeof(upper) - 1; i++)
		upper[i] = (char)toupper((unsigned char)name[i]);
	upper[i] = '\0';
	buf_add_fmt(out,
		    ".\\\" SPDX-License-Identifier: Apache-2.0\n"
		    ".\\\" Made by `tapeloop man` from the program's tables.\n"
		    ".Dd " DATE "\n.Dt %s %s\n.Os\n"
		    ".Sh NAME\n.Nm %s\n.Nd %s\n",
		    upper, section, name, what);
}

static void begin_list(struct buf *out)
{
	buf_add_str(out, ".Bl -tag -width Ds\n");
}

static void end_list(struct buf *out)
{
	buf_add_str(out, ".El\n");
}

/* ---- tapeloop(1) ---- */

static void option_item(struct buf *out, const struct option_row *row)
{
	buf_add_str(out, ".It");
	if (row->letter)
		buf_add_fmt(out, " Fl %c ,", row->letter);
	buf_add_fmt(out, " Fl \\-%s", row->name);
	if (row->value)
		buf_add_fmt(out, " Ar %s", row->value);
	buf_add_char(out, '\n');
	sentence(out, row->what, row->choices);
	if (row->fallback)
		buf_add_fmt(out, "Default:\n.Ql %s .\n", row->fallback);
}

static void examples(struct buf *out, const char *s)
{
	while (s && *s) {
		size_t len = strcspn(s, "\n"), command = strcspn(s, "\t\n");
		char one[512], what[512];

		(void)snprintf(one, sizeof(one), "%.*s", (int)command, s);
		(void)snprintf(what, sizeof(what), "%.*s",
			       len > command ? (int)(len - command - 1) : 0, s + command + 1);
		buf_add_str(out, ".It");
		argument(out, what);
		buf_add_str(out, "\n.Dl");
		argument(out, one);
		buf_add_char(out, '\n');
		s += len + (s[len] == '\n');
	}
}

static void command_section(struct buf *out, const struct command *c)
{
	buf_add_fmt(out, ".Ss %s", c->name);
	buf_add_fmt(out, "\n.Nm\n.Cm %s\n.Op Ar options", c->name);
	if (c->operands[0]) {
		buf_add_str(out, "\n.Ar");
		argument(out, c->operands);
	}
	buf_add_str(out, "\n.Pp\n");
	sentence(out, c->summary, NULL);
	if (c->details)
		line(out, c->details);
	begin_list(out);
	for (const struct option_row *row = c->options; row && row->name; row++)
		option_item(out, row);
	buf_add_str(out, ".It Fl h , Fl \\-help\nwhat there is, in short.\n");
	end_list(out);
}

static void client_page(struct buf *out)
{
	title(out, "tapeloop", "1",
	      "ask a flight recorder for HTTP services, and play traffic back");
	buf_add_str(out, ".Sh SYNOPSIS\n.Nm\n.Ar command\n.Op Ar options\n.Op Ar arguments\n"
			 ".Nm\n.Fl \\-help | \\-version\n.Sh DESCRIPTION\n");
	line(out, "tapeloopd(8) watches the traffic of a machine and keeps each HTTP request "
		  "with its "
		  "response. This program lists, shows, follows and replays what it kept. It "
		  "asks the "
		  "daemon over its REST API, or reads a directory of tapes or one tape by "
		  "itself, with "
		  "the same answers.");
	buf_add_str(out, ".Pp\n");
	line(out, "Answers go to standard output, everything else to standard error. Colours and "
		  "columns cut to the screen are for terminals only. Times are in the zone of "
		  "the reader. Bytes that came off the wire and that a terminal would obey are "
		  "shown as \\xNN.");
	buf_add_str(out, ".Sh COMMANDS\n");
	for (const struct command *const *c = commands; *c; c++)
		if (!(*c)->is_hidden)
			command_section(out, *c);
	buf_add_str(out, ".Sh ENVIRONMENT\n");
	begin_list(out);
	buf_add_str(out, ".It Ev TAPELOOP_API\nwhere the daemon answers, as\n.Fl \\-api\nhas it.\n"
			 ".It Ev TAPELOOP_STORE\na store to open, as\n.Fl \\-store\nhas it.\n"
			 ".It Ev NO_COLOR\nwhen not empty: no colours.\n"
			 ".It Ev TZ\nthe zone of the times shown and typed.\n");
	end_list(out);
	buf_add_str(out, ".Sh FILES\n");
	begin_list(out);
	buf_add_str(out, ".It Pa /run/tapeloop/api.sock\nasked when nothing else is named.\n"
			 ".It Pa /var/lib/tapeloop\nthe tapes, unless the settings name another "
			 "place.\n");
	end_list(out);
	buf_add_str(out, ".Sh EXIT STATUS\n");
	begin_list(out);
	buf_add_str(out, ".It 0\ndone, and nothing is wrong.\n"
			 ".It 1\nthe answer is 'differs', 'fails' or, where that matters, 'nothing "
			 "matched'.\n.It 2\nused wrongly.\n.It 3\ncould not do it.\n");
	end_list(out);
	buf_add_str(out, ".Sh EXAMPLES\n");
	begin_list(out);
	for (const struct command *const *c = commands; *c; c++)
		if (!(*c)->is_hidden)
			examples(out, (*c)->examples);
	end_list(out);
	buf_add_str(out, ".Sh SEE ALSO\n.Xr curl 1 ,\n.Xr tapeloop-filter 7 ,\n.Xr tapeloopd 8\n");
}

/* ---- tapeloopd(8) ---- */

struct setting_page_row {
	const char *key, *type, *what;
	char fallback[128];
	bool is_live;
};

/* the largest unit that leaves no rest */
static void add_bytes(char *to, size_t cap, uint64_t n)
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
	size_t unit = 0;

	while (n && n % 1024 == 0 && unit + 1 < COUNT_OF(units)) {
		n /= 1024;
		unit++;
	}
	(void)snprintf(to, cap, "%llu%s", (unsigned long long)n, n ? units[unit] : "");
}

static void add_duration(char *to, size_t cap, uint64_t ns)
{
	static const struct {
		uint64_t ns;
		const char *name;
	} units[] = {{86400 * NS_PER_S, "d"}, {3600 * NS_PER_S, "h"}, {60 * NS_PER_S, "m"},
		     {NS_PER_S, "s"},	      {NS_PER_MS, "ms"},      {1, "ns"}};

	for (size_t i = 0; i < COUNT_OF(units); i++) {
		if (ns % units[i].ns == 0) {
			(void)snprintf(to, cap, "%llu%s", (unsigned long long)(ns / units[i].ns),
				       units[i].name);
			return;
		}
	}
}

static void setting_fallback(struct setting_page_row *row, uint64_t number, const char *string)
{
	if (string)
		(void)snprintf(row->fallback, sizeof(row->fallback), "%s", string);
	else if (strcmp(row->type, "BYTES") == 0)
		add_bytes(row->fallback, sizeof(row->fallback), number);
	else if (strcmp(row->type, "DURATION") == 0)
		add_duration(row->fallback, sizeof(row->fallback), number);
	else if (strcmp(row->type, "BOOL") == 0)
		(void)snprintf(row->fallback, sizeof(row->fallback), "%s",
			       number ? "true" : "false");
	else
		(void)snprintf(row->fallback, sizeof(row->fallback), "%llu",
			       (unsigned long long)number);
}

static void setting_item(struct buf *out, const struct setting_page_row *row)
{
	static const struct {
		const char *type, *value;
	} values[] = {{"BYTES", "bytes"}, {"DURATION", "time"}, {"COUNT", "number"},
		      {"BOOL", "yes|no"}, {"TEXT", "text"},	{"LIST", "text"}};
	const char *value = "text";

	for (size_t i = 0; i < COUNT_OF(values); i++)
		if (strcmp(values[i].type, row->type) == 0)
			value = values[i].value;
	buf_add_fmt(out, ".It Cm %s : Ar %s\n", row->key, value);
	sentence(out, row->what, NULL);
	if (row->fallback[0]) {
		buf_add_str(out, "Default:\n.Ql");
		argument(out, row->fallback);
		buf_add_str(out, " .\n");
	}
	if (!row->is_live)
		buf_add_str(out, "A change needs a restart.\n");
}

#define NUMBER_OF_BYTES(def)	(uint64_t)(def), NULL
#define NUMBER_OF_DURATION(def) (uint64_t)(def), NULL
#define NUMBER_OF_COUNT(def)	(uint64_t)(def), NULL
#define NUMBER_OF_BOOL(def)	(uint64_t)(def), NULL
#define NUMBER_OF_TEXT(def)	0, def
#define NUMBER_OF_LIST(def)	0, def
#define IS_LIVE_LIVE		true
#define IS_LIVE_START		false

static void settings_items(struct buf *out)
{
	struct setting_page_row row;

#define SETTING(field, key_, TYPE, def, min, max, reload, what_)                                   \
	row = (struct setting_page_row){                                                           \
		.key = key_, .type = #TYPE, .what = what_, .is_live = IS_LIVE_##reload};           \
	setting_fallback(&row, NUMBER_OF_##TYPE(def));                                             \
	setting_item(out, &row);
#include "schema/settings.tbl.h"
#undef SETTING
}

static void daemon_page(struct buf *out)
{
	title(out, "tapeloopd", "8", "flight recorder for HTTP services");
	buf_add_str(out, ".Sh SYNOPSIS\n.Nm\n.Op Fl \\-config Ar file\n.Op Fl \\-check\n"
			 ".Op Fl \\-print-config\n.Op Fl \\-setting Ar value\n"
			 ".Nm\n.Fl \\-help | \\-version\n.Sh DESCRIPTION\n");
	line(out,
	     "Captures TCP on interfaces, also inside network namespaces, finds the HTTP "
	     "messages "
	     "in it, pairs each request with its response, masks credentials, and keeps the "
	     "exchanges on tapes until the quota makes room for newer ones. Every packet, byte, "
	     "request and exchange is counted where it went; `tapeloop doctor` checks the sums. "
	     "Exchanges are served over a REST API, which tapeloop(1) asks.");
	begin_list(out);
	buf_add_str(
		out,
		".It Fl \\-config Ar file\nsettings in YAML, nested by the dots of their keys.\n"
		".It Fl \\-check\nread settings, environment and flags, say what is wrong with "
		"line and key, and end.\n"
		".It Fl \\-print-config\nprint every setting with its value and where it comes "
		"from.\n"
		".It Fl \\-help\nwhat there is, in short.\n"
		".It Fl \\-version\nwhich version it is.\n");
	end_list(out);
	buf_add_str(out, ".Sh SETTINGS\n");
	line(out, "From weakest to strongest: the default, the YAML file, the environment "
		  "variable, the flag.");
	buf_add_str(out, "The variable of\n.Cm store.dir\nis\n.Ev TAPELOOP_STORE_DIR ,\nits flag\n"
			 ".Fl \\-store-dir .\n");
	begin_list(out);
	settings_items(out);
	end_list(out);
	buf_add_str(out, ".Sh SIGNALS\n");
	begin_list(out);
	buf_add_str(out,
		    ".It Dv SIGTERM , SIGINT\nrecord what is pending, leave nothing behind, end.\n"
		    ".It Dv SIGHUP\nread the settings again.\n");
	end_list(out);
	buf_add_str(out, ".Sh EXIT STATUS\n");
	begin_list(out);
	buf_add_str(out, ".It 0\ndone, and nothing is wrong.\n.It 2\nused wrongly, or a setting is "
			 "wrong.\n.It 3\ncould not do it.\n");
	end_list(out);
	buf_add_str(out,
		    ".Sh SEE ALSO\n.Xr tapeloop 1 ,\n.Xr pcap-filter 7 ,\n.Xr tapeloop-filter 7\n");
}

/* ---- tapeloop-filter(7) ---- */

static const char *const field_type_names[] = {
	[FIELD_TYPE_TEXT] = "text",	     [FIELD_TYPE_INT] = "number",
	[FIELD_TYPE_TIME] = "time",	     [FIELD_TYPE_DURATION] = "duration",
	[FIELD_TYPE_ADDRESS] = "address",    [FIELD_TYPE_ID] = "id",
	[FIELD_TYPE_NAME] = "name",	     [FIELD_TYPE_FLAGS] = "set of names",
	[FIELD_TYPE_BOOL] = "true or false", [FIELD_TYPE_MAP] = "map of texts",
};

static void form_items(struct buf *out, size_t group)
{
	begin_list(out);
	for (const struct filter_form *f = filter_forms; f->form; f++) {
		if (f->group != group)
			continue;
		buf_add_str(out, ".It Li");
		argument(out, f->form);
		buf_add_char(out, '\n');
		line(out, f->what);
		if (strcmp(f->form, f->example) == 0)
			continue;
		buf_add_str(out, ".Dl");
		argument(out, f->example);
		buf_add_char(out, '\n');
	}
	end_list(out);
}

static void field_items(struct buf *out)
{
	begin_list(out);
	for (int i = 0; i < FIELD_COUNT; i++) {
		buf_add_fmt(out, ".It Cm %s Pq %s\n", field_rows[i].name,
			    field_type_names[field_rows[i].type]);
		line(out, field_rows[i].what);
	}
	end_list(out);
}

#define NAME_ITEM(name, what)                                                                      \
	buf_add_fmt(out, ".It Cm %s\n", name);                                                     \
	line(out, what);

static void name_items(struct buf *out)
{
	buf_add_str(out, ".Ss Outcomes\n");
	begin_list(out);
#define OUTCOME(NAME, name, is_failed, what) NAME_ITEM(name, what)
#include "schema/outcomes.tbl.h"
#undef OUTCOME
	end_list(out);
	buf_add_str(out, ".Ss Reasons\n");
	begin_list(out);
#define REASON(NAME, name, what) NAME_ITEM(name, what)
#include "schema/outcomes.tbl.h"
#undef REASON
	end_list(out);
	buf_add_str(out, ".Ss Anomalies\n");
	begin_list(out);
#define ANOMALY(NAME, name, what) NAME_ITEM(name, what)
#include "schema/anomalies.tbl.h"
#undef ANOMALY
	end_list(out);
}

static void filter_page(struct buf *out)
{
	title(out, "tapeloop-filter", "7", "which exchanges: the language of tapeloop's filters");
	buf_add_str(out, ".Sh DESCRIPTION\n");
	line(out, "One expression says which exchanges are recorded, listed, followed or "
		  "replayed. Its form is a subset of CEL, the language of Kubernetes' admission "
		  "policies. An empty filter selects everything.");
	buf_add_str(out, ".Pp\n.Dl");
	argument(out, "status >= 500 && dst.service == \"cart\" && path.startsWith(\"/api/\")");
	buf_add_str(out, "\n.Dl");
	argument(out, "failed() || latency > duration(\"300ms\")");
	buf_add_char(out, '\n');
	for (size_t g = 0; g < FILTER_GROUP_COUNT; g++) {
		buf_add_fmt(out, ".Ss %s\n", filter_group_titles[g]);
		form_items(out, g);
	}
	line(out,
	     "What is not there (a member of JSON, a number divided by 0) is equal to nothing, and "
	     "no comparison with it holds; != is the negation of ==. A regular expression or "
	     "other condition that reaches a limit counts as false, and it is said so.");
	buf_add_str(out, ".Sh FIELDS\nA field that is not known is empty text or 0.\n");
	field_items(out);
	buf_add_str(out, ".Sh NAMES\n");
	name_items(out);
	buf_add_str(out, ".Sh SEE ALSO\n.Xr tapeloop 1 ,\n.Xr tapeloopd 8\n");
}

static const struct {
	const char *name;
	void (*write)(struct buf *out);
} pages[] = {
	{"tapeloop.1", client_page},
	{"tapeloop-filter.7", filter_page},
	{"tapeloopd.8", daemon_page},
};

static int run_man(struct cli *cli)
{
	AUTO_BUF out = {0};

	for (size_t i = 0; i < COUNT_OF(pages); i++)
		if (strcmp(cli->operands[0], pages[i].name) == 0) {
			pages[i].write(&out);
			(void)cli_print(&out);
			return CLI_OK;
		}
	return cli_usage(cli, "no page \"%s\": tapeloop.1, tapeloop-filter.7, tapeloopd.8",
			 cli->operands[0]);
}

const struct command command_man = {
	.name = "man",
	.operands = "PAGE",
	.operands_min = 1,
	.operands_max = 1,
	.summary = "print a manual page, made from the program's tables",
	.is_hidden = true,
	.run = run_man,
};
