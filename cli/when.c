// SPDX-License-Identifier: Apache-2.0
/*
 * Theory of operation
 *
 * Stored times are ns since 1970; a person at a terminal thinks in the clock on the wall. Zone
 * rules are libc's (TZ). A time without a date is the last one that has passed, for one looks back.
 */
#include "cli/when.h"

#include <errno.h>
#include <time.h>

#include "lib/clock.h"

#define DAY_S 86400

static struct tm local_tm(uint64_t wall_ns)
{
	time_t s = (time_t)(wall_ns / NS_PER_S);
	struct tm tm = {0};

	(void)localtime_r(&s, &tm);
	return tm;
}

struct local_form {
	const char *format;
	bool has_date;
};

static const struct local_form local_forms[] = {
	{"%Y-%m-%d %H:%M:%S", true},
	{"%Y-%m-%d %H:%M", true},
	{"%Y-%m-%dT%H:%M:%S", true},
	{"%Y-%m-%dT%H:%M", true},
	{"%Y-%m-%d", true},
	{"%H:%M:%S", false},
	{"%H:%M", false},
};

static bool parse_local(const char *text, const struct local_form *form, uint64_t now_ns,
			uint64_t *out_ns)
{
	struct tm tm = form->has_date ? (struct tm){0} : local_tm(now_ns);
	const char *end;
	time_t s;

	if (!form->has_date)
		tm.tm_hour = tm.tm_min = tm.tm_sec = 0;
	end = strptime(text, form->format, &tm);
	if (!end || *end)
		return false;
	tm.tm_isdst = -1; /* let libc find out */
	s = mktime(&tm);
	if (!form->has_date && s > (time_t)(now_ns / NS_PER_S)) {
		tm.tm_mday--;
		tm.tm_isdst = -1;
		s = mktime(&tm);
	}
	if (s < 0 || s > INT64_C(9223372035))
		return false;
	*out_ns = (uint64_t)s * NS_PER_S;
	return true;
}

int when_parse(struct span s, uint64_t now_ns, uint64_t *out_ns)
{
	char text[40];

	if (clock_parse(s, now_ns, out_ns) == 0)
		return 0;
	if (s.len >= sizeof(text))
		return -EINVAL;
	memcpy(text, s.ptr, s.len);
	text[s.len] = '\0';
	for (size_t i = 0; i < COUNT_OF(local_forms); i++)
		if (parse_local(text, &local_forms[i], now_ns, out_ns))
			return 0;
	return -EINVAL;
}

static void add_date(struct buf *out, const struct tm *tm)
{
	buf_add_fmt(out, "%04d-%02d-%02d ", tm->tm_year + 1900, tm->tm_mon + 1, tm->tm_mday);
}

static void add_clock(struct buf *out, const struct tm *tm)
{
	buf_add_fmt(out, "%02d:%02d:%02d", tm->tm_hour, tm->tm_min, tm->tm_sec);
}

void when_local(struct buf *out, uint64_t wall_ns, uint64_t now_ns)
{
	struct tm tm = local_tm(wall_ns), now = local_tm(now_ns);

	bool is_today = tm.tm_yday == now.tm_yday && tm.tm_year == now.tm_year;

	if (!is_today)
		add_date(out, &tm);
	add_clock(out, &tm);
	if (is_today)
		buf_add_fmt(out, ".%03u", (unsigned)(wall_ns % NS_PER_S / NS_PER_MS));
}

void when_full(struct buf *out, uint64_t wall_ns)
{
	struct tm tm = local_tm(wall_ns);
	char zone[8] = "";

	(void)strftime(zone, sizeof(zone), "%z", &tm);
	add_date(out, &tm);
	add_clock(out, &tm);
	buf_add_fmt(out, ".%09u %s", (unsigned)(wall_ns % NS_PER_S), zone);
}

void when_ago(struct buf *out, uint64_t wall_ns, uint64_t now_ns)
{
	uint64_t s = now_ns > wall_ns ? (now_ns - wall_ns) / NS_PER_S : 0;

	if (s < 120)
		buf_add_fmt(out, "%us ago", (unsigned)s);
	else if (s < 2 * 3600)
		buf_add_fmt(out, "%um ago", (unsigned)(s / 60));
	else if (s < 2 * DAY_S)
		buf_add_fmt(out, "%uh ago", (unsigned)(s / 3600));
	else
		buf_add_fmt(out, "%ud ago", (unsigned)(s / DAY_S));
}

void when_duration(struct buf *out, uint64_t ns)
{
	double us = (double)ns / 1e3, ms = (double)ns / 1e6, s = (double)ns / 1e9;

	if (us < 999.5)
		buf_add_fmt(out, "%.0fus", us);
	else if (ms < 99.95)
		buf_add_fmt(out, "%.*fms", ms < 9.995 ? 2 : 1, ms);
	else if (ms < 999.5)
		buf_add_fmt(out, "%.0fms", ms);
	else if (s < 99.5)
		buf_add_fmt(out, "%.*fs", s < 9.995 ? 2 : 1, s);
	else
		buf_add_fmt(out, "%um%02us", (unsigned)(s / 60), (unsigned)s % 60);
}
