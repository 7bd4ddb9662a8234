// SPDX-License-Identifier: Apache-2.0
/*
 * settings.h - the daemon's settings with where each came from; all of it by schema/settings.tbl.h
 *
 * From weakest to strongest: default, YAML file, environment, flag. Thread: main.
 */
#pragma once

#include "lib/buf.h"
#include "lib/err.h"
#include "schema/settings.h"

enum setting {
#define SETTING(field, key, TYPE, def, min, max, reload, what) SETTING_##field,
#include "schema/settings.tbl.h"
#undef SETTING
	SETTING_COUNT
};

enum setting_type {
	SETTING_TYPE_BYTES,
	SETTING_TYPE_DURATION,
	SETTING_TYPE_COUNT,
	SETTING_TYPE_BOOL,
	SETTING_TYPE_TEXT,
	SETTING_TYPE_LIST,
};

struct setting_row {
	const char *key;
	const char *what;
	const char *text; /* default of TEXT and LIST; else NULL */
	uint64_t number;  /* default of the others */
	uint64_t min, max;
	size_t offset; /* in struct settings */
	uint8_t type;  /* enum setting_type */
	bool is_live;  /* SIGHUP applies it */
};
extern const struct setting_row setting_rows[SETTING_COUNT];

#define SETTINGS_DEFAULT_PATH "/etc/tapeloop/tapeloopd.yaml"

/* The settings in force, or about to be. */
struct chosen {
	struct settings values;
	char *origins[SETTING_COUNT]; /* "file:line:column", "TAPELOOP_X", "--x"; NULL: default */
};

/* all defaults. Return: 0 or -ENOMEM; fini in each case */
int chosen_init(struct chosen *c) MUST_USE;
void chosen_fini(struct chosen *c);

/**
 * chosen_set() - give one setting a value
 * @items: the value; several for a LIST only, where one is also split at commas
 * @origin: copied
 * @is_more: add to the list instead of replacing it
 * @e:     "key: 'text': what was expected"; the value is then as before
 *
 * Return: 0, -EINVAL, -ENOMEM.
 */
int chosen_set(struct chosen *c, enum setting which, const struct span *items, size_t count,
	       const char *origin, bool is_more, struct err *e) MUST_USE;
/* setting_equals() - do both have the same value? */
bool setting_equals(const struct settings *a, const struct settings *b, enum setting which);
/* setting_swap() - each gets the value of the other */
void setting_swap(struct settings *a, struct settings *b, enum setting which);

/* setting_find() - by key; -ENOENT with the nearest name in @e */
int setting_find(struct span key, struct err *e) MUST_USE;
/* setting_print() - value as it may be typed; lists as a YAML flow sequence with quotes */
void setting_print(const struct settings *s, enum setting which, struct buf *out);
/* setting_expects() - "a size such as 64MiB, 2MiB to 1GiB" */
void setting_expects(enum setting which, struct buf *out);
/* setting_default_text() - for --help and documents; "" for none */
void setting_default_text(enum setting which, struct buf *out);

/*
 * What the daemon was told on its command line, besides settings.
 */
struct invocation {
	const char *config_path; /* --config; NULL: the default file, if there is one */
	const char *own;	 /* --own; NULL: not asked */
	bool is_check, wants_help, wants_version, wants_print, is_sidecar, is_webhook;
};

/* invocation_read() - the options that are no settings; settings_load() reads the rest. -EINVAL. */
int invocation_read(char **argv, struct invocation *out, struct err *e) MUST_USE;
/**
 * settings_load() - file, environment and flags into @out
 * @errors: one line for each thing that is wrong; all are found, not only the first
 *
 * Return: 0, or how many errors there were. @out is to be freed by chosen_fini() in each case.
 */
int settings_load(const struct invocation *how, char **argv, struct chosen *out,
		  struct buf *errors) MUST_USE;
/* settings_file() - daemon/settings_file.c: the YAML file into @c. Return: how many errors. */
int settings_file(const char *path, struct chosen *c, struct buf *errors) MUST_USE;
/* settings_flags() - daemon/flags.c. Return: how many errors. */
int settings_flags(char **argv, struct chosen *c, struct buf *errors) MUST_USE;
int settings_environment(struct chosen *c, struct buf *errors) MUST_USE;
/* settings_check() - what no row can say: filters parse, names exist. Return: how many errors. */
int settings_check(const struct chosen *c, struct buf *errors) MUST_USE;

void settings_help(struct buf *out); /* --help */
/* --print-config: YAML with origins */
void settings_print(const struct chosen *c, struct buf *out);
