// SPDX-License-Identifier: Apache-2.0
#include "daemon/settings.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/nearest.h"

/*
 * Theory of operation. Flags and environment variables are the keys of the table in other letters:
 * capture.netns is --capture-netns and TAPELOOP_CAPTURE_NETNS. A flag may leave the group away
 * where what remains names one setting only: --netns. A list's flag may come several times.
 *
 * getopt_long() is not used: its table would have to be made at run time from this one, and its
 * messages cannot name the nearest flag.
 */
#define NAME_BYTES 128

/* "capture.netns" -> "capture-netns" */
static void flag_name(enum setting which, char out[NAME_BYTES])
{
	size_t i = 0;

	for (const char *p = setting_rows[which].key; *p && i < NAME_BYTES - 1; p++)
		out[i++] = *p == '.' || *p == '_' ? '-' : *p;
	out[i] = '\0';
}

/* "capture.netns" -> "TAPELOOP_CAPTURE_NETNS" */
static void variable_name(enum setting which, char out[NAME_BYTES])
{
	size_t i = (size_t)snprintf(out, NAME_BYTES, "TAPELOOP_");

	for (const char *p = setting_rows[which].key; *p && i < NAME_BYTES - 1; p++)
		out[i++] = *p == '.' ? '_' : (char)toupper((unsigned char)*p);
	out[i] = '\0';
}

/* Is @name the flag of @which without its group? */
static bool is_short_for(struct span name, enum setting which)
{
	const char *dot = strchr(setting_rows[which].key, '.');
	char full[NAME_BYTES];

	if (!dot)
		return false;
	flag_name(which, full);
	return span_eq(name, span_str(full + (dot - setting_rows[which].key) + 1));
}

static int find_flag(struct span name, struct err *e)
{
	char names[SETTING_COUNT][NAME_BYTES];
	const char *list[SETTING_COUNT], *near;
	int found = -1, found_count = 0;

	for (enum setting i = 0; i < SETTING_COUNT; i++) {
		flag_name(i, names[i]);
		list[i] = names[i];
		if (span_eq(name, span_str(names[i])))
			return (int)i;
		if (is_short_for(name, i)) {
			found = (int)i;
			found_count++;
		}
	}
	if (found_count == 1)
		return found;
	near = nearest_name(name, list, SETTING_COUNT);
	return err_set(e, -EINVAL, "--%.*s: there is no such flag%s%s", (int)MIN(name.len, 80U),
		       (const char *)name.ptr, near ? "; near: --" : "", near ? near : "");
}

/* What is no setting. The first take a value. */
static const char *const words[] = {"config",  "own",	       "check",	  "help",
				    "version", "print-config", "sidecar", "webhook"};
enum word { WORD_CONFIG, WORD_OWN, WORDS_WITH_VALUE };

static const char *const word_asks[] = {"--config: which file?", "--own: which user?"};

static int find_word(struct span name)
{
	for (size_t i = 0; i < COUNT_OF(words); i++)
		if (span_eq(name, span_str(words[i])))
			return (int)i;
	return -1;
}

/* One argument taken apart; the value may be in the next one. */
struct flag {
	struct span name;
	const char *value; /* NULL: none with it */
};

static int take_apart(const char *arg, struct flag *out, struct err *e)
{
	const char *equals = strchr(arg, '=');

	if (strncmp(arg, "--", 2) != 0 || !arg[2] || arg[2] == '=')
		return err_set(e, -EINVAL, "'%s': expected flags such as --config FILE", arg);
	out->value = equals ? equals + 1 : NULL;
	out->name = equals ? span_of(arg + 2, (size_t)(equals - arg) - 2) : span_str(arg + 2);
	return 0;
}

/* Does a flag's value stand in the next argument? */
static bool takes_next(const struct flag *f, int which)
{
	return !f->value && setting_rows[which].type != SETTING_TYPE_BOOL;
}

int invocation_read(char **argv, struct invocation *out, struct err *e)
{
	const char **const values[] = {&out->config_path, &out->own};
	bool *const marks[] = {NULL,
			       NULL,
			       &out->is_check,
			       &out->wants_help,
			       &out->wants_version,
			       &out->wants_print,
			       &out->is_sidecar,
			       &out->is_webhook};

	*out = (struct invocation){0};
	for (; *argv; argv++) {
		struct flag f = {0};
		int word, failed = take_apart(*argv, &f, e);

		if (failed < 0)
			return failed;
		word = find_word(f.name);
		if (word >= 0 && word < WORDS_WITH_VALUE) {
			*values[word] = f.value ? f.value : argv[1] ? *++argv : NULL;
			if (!*values[word])
				return err_set(e, -EINVAL, "%s", word_asks[word]);
		} else if (word >= 0) {
			*marks[word] = true;
		} else {
			int which = find_flag(f.name, e);

			if (which < 0)
				return which;
			if (takes_next(&f, which) && argv[1])
				argv++;
		}
	}
	return 0;
}

static int set_flag(struct chosen *c, int which, const char *value, bool is_more, struct err *e)
{
	char name[NAME_BYTES + 2] = "--";
	struct span text = span_str(value);

	flag_name((enum setting)which, name + 2);
	if (!value)
		return err_set(e, -EINVAL, "%s: expected a value", name);
	if (chosen_set(c, (enum setting)which, &text, 1, name, is_more, e) < 0)
		return err_wrap(e, "%s", name);
	return 0;
}

int settings_flags(char **argv, struct chosen *c, struct buf *errors)
{
	bool was_seen[SETTING_COUNT] = {0};
	int error_count = 0;

	for (; *argv; argv++) {
		struct flag f = {0};
		struct err e;
		int which;

		if (take_apart(*argv, &f, &e) < 0)
			continue; /* invocation_read() has said so */
		if (find_word(f.name) >= 0) {
			argv += find_word(f.name) < WORDS_WITH_VALUE && !f.value && argv[1];
			continue;
		}
		which = find_flag(f.name, &e);
		if (which < 0)
			continue;
		if (takes_next(&f, which) && argv[1])
			f.value = *++argv;
		else if (!f.value && setting_rows[which].type == SETTING_TYPE_BOOL)
			f.value = "true";
		if (set_flag(c, which, f.value, was_seen[which], &e) < 0) {
			buf_add_fmt(errors, "%s\n", e.why);
			error_count++;
		}
		was_seen[which] = true;
	}
	return error_count;
}

int settings_environment(struct chosen *c, struct buf *errors)
{
	int error_count = 0;

	for (enum setting i = 0; i < SETTING_COUNT; i++) {
		char name[NAME_BYTES];
		const char *value;
		struct span text;
		struct err e;

		variable_name(i, name);
		value = getenv(name);
		if (!value)
			continue;
		text = span_str(value);
		if (chosen_set(c, i, &text, 1, name, false, &e) == 0)
			continue;
		buf_add_fmt(errors, "%s: %s\n", name, e.why);
		error_count++;
	}
	return error_count;
}

static void help_of(enum setting which, struct buf *out)
{
	static const char *const values[] = {
		[SETTING_TYPE_BYTES] = " SIZE", [SETTING_TYPE_DURATION] = " TIME",
		[SETTING_TYPE_COUNT] = " N",	[SETTING_TYPE_BOOL] = "=BOOL",
		[SETTING_TYPE_TEXT] = " TEXT",	[SETTING_TYPE_LIST] = " LIST",
	};
	const struct setting_row *row = &setting_rows[which];
	char name[NAME_BYTES];
	size_t begin = out->len;

	flag_name(which, name);
	buf_add_fmt(out, "  --%s%s", name, values[row->type]);
	do
		buf_add_char(out, ' ');
	while (out->len - begin < 34);
	buf_add_str(out, row->what);
	buf_add_str(out, " [");
	setting_default_text(which, out);
	buf_add_str(out, row->is_live ? "] (live)\n" : "]\n");
}

void settings_help(struct buf *out)
{
	buf_add_str(
		out,
		"Usage: tapeloopd [--config FILE] [FLAG]...\n"
		"Record the HTTP traffic of this machine and its network namespaces.\n\n"
		"  --config FILE                   settings as YAML "
		"[/etc/tapeloop/tapeloopd.yaml if it exists]\n"
		"  --check                         say what is wrong with the settings, and end\n"
		"  --print-config                  the settings in force and where each came "
		"from, and end\n"
		"  --own UID[:GID]                 give store.dir and the sockets' directories to "
		"that "
		"user, and end\n"
		"  --sidecar                       defaults for a container beside one application "
		"(docs/install-kubernetes.md)\n"
		"  --webhook                       record nothing: answer the API server's "
		"admission "
		"reviews, so that pods get a sidecar\n"
		"  --version, --help\n\n"
		"Each setting is a flag, a key of the file (capture.netns for --capture-netns)\n"
		"and an environment variable (TAPELOOP_CAPTURE_NETNS); a flag is stronger than\n"
		"the environment, that than the file. A flag may leave its group away where it\n"
		"stays clear: --netns. Defaults stand in brackets; SIGHUP applies what is "
		"live.\n\n");
	for (enum setting i = 0; i < SETTING_COUNT; i++)
		help_of(i, out);
	buf_add_str(
		out,
		"\nExit status: 0 done; 2 used wrongly or settings wrong; 3 could not do it.\n");
}

static size_t group_bytes(const char *key)
{
	const char *dot = strchr(key, '.');

	return dot ? (size_t)(dot - key) : 0;
}

void settings_print(const struct chosen *c, struct buf *out)
{
	const char *group = "";

	for (enum setting i = 0; i < SETTING_COUNT; i++) {
		const char *key = setting_rows[i].key;
		size_t n = group_bytes(key);

		if (n && (strlen(group) < n || strncmp(group, key, n + 1) != 0))
			buf_add_fmt(out, "%.*s:\n", (int)n, key);
		group = n ? key : "";
		buf_add_fmt(out, "%s%s: ", n ? "  " : "", n ? key + n + 1 : key);
		setting_print(&c->values, i, out);
		buf_add_fmt(out, " # %s\n", c->origins[i] ? c->origins[i] : "default");
	}
}
