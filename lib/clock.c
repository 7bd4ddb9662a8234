// SPDX-License-Identifier: Apache-2.0
#include "lib/clock.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

static uint64_t read_clock(clockid_t id)
{
	struct timespec ts = {0};

	(void)clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

uint64_t clock_wall_ns(void)
{
	return read_clock(CLOCK_REALTIME);
}

uint64_t clock_mono_ns(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

uint64_t clock_cpu_ns(void)
{
	return read_clock(CLOCK_PROCESS_CPUTIME_ID);
}

static char *put_digits(char *to, uint64_t n, unsigned count)
{
	for (unsigned i = count; i > 0; i--) {
		to[i - 1] = (char)('0' + n % 10);
		n /= 10;
	}
	return to + count;
}

/*
 * Year, month and day of a day since 1970, by counting in eras of 400 years that begin on March 1,
 * so that the leap day comes last. Several times in every JSON record: gmtime_r() and strftime()
 * took a third of writing one.
 */
static char *put_date(char *to, uint64_t days)
{
	uint64_t shifted = days + 719468; /* since 0000-03-01 */
	uint64_t era = shifted / 146097, of_era = shifted % 146097;
	uint64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	uint64_t of_year = of_era - (365 * year + year / 4 - year / 100);
	uint64_t from_march = (5 * of_year + 2) / 153;
	uint64_t day = of_year - (153 * from_march + 2) / 5 + 1;
	uint64_t month = from_march < 10 ? from_march + 3 : from_march - 9;

	to = put_digits(to, era * 400 + year + (month <= 2), 4);
	*to++ = '-';
	to = put_digits(to, month, 2);
	*to++ = '-';
	return put_digits(to, day, 2);
}

void clock_format_utc(struct buf *out, uint64_t wall_ns)
{
	uint64_t s = wall_ns / NS_PER_S, of_day = s % 86400;
	char text[32];
	char *to = put_date(text, s / 86400);

	*to++ = 'T';
	to = put_digits(to, of_day / 3600, 2);
	*to++ = ':';
	to = put_digits(to, of_day / 60 % 60, 2);
	*to++ = ':';
	to = put_digits(to, of_day % 60, 2);
	*to++ = '.';
	to = put_digits(to, wall_ns % NS_PER_S, 9);
	*to++ = 'Z';
	buf_add(out, text, (size_t)(to - text));
}

struct unit {
	const char *name;
	uint64_t ns;
};

/* longer names first, so that "ms" is not read as "m" */
static const struct unit units[] = {
	{"ns", 1},
	{"us", NS_PER_US},
	{"ms", NS_PER_MS},
	{"s", NS_PER_S},
	{"m", 60 * NS_PER_S},
	{"h", 3600 * NS_PER_S},
	{"d", 86400 * NS_PER_S},
};

static const struct unit *unit_at(struct span s)
{
	for (size_t i = 0; i < COUNT_OF(units); i++) {
		size_t n = strlen(units[i].name);

		if (s.len >= n && memcmp(s.ptr, units[i].name, n) == 0)
			return &units[i];
	}
	return NULL;
}

static bool is_digit(struct span s)
{
	return s.len && s.ptr[0] >= '0' && s.ptr[0] <= '9';
}

int clock_parse_duration(struct span s, uint64_t *out_ns)
{
	long double total = 0;

	if (s.len == 0)
		return -EINVAL;
	while (s.len) {
		long double v = 0, scale = 1;
		const struct unit *u;

		if (!is_digit(s))
			return -EINVAL;
		for (; is_digit(s); s = span_from(s, 1))
			v = v * 10 + (s.ptr[0] - '0');
		if (s.len && s.ptr[0] == '.')
			for (s = span_from(s, 1); is_digit(s); s = span_from(s, 1))
				v += (scale /= 10) * (s.ptr[0] - '0');
		u = unit_at(s);
		if (!u)
			return -EINVAL;
		s = span_from(s, strlen(u->name));
		total += v * (long double)u->ns;
		if (total > 9.2e18L)
			return -EINVAL;
	}
	*out_ns = (uint64_t)(total + 0.5L);
	return 0;
}

static int parse_rfc3339(const char *text, uint64_t *out_ns)
{
	struct tm tm = {0};
	uint64_t frac = 0, scale = NS_PER_S;
	const char *p = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
	int64_t s;

	if (!p)
		return -EINVAL;
	if (*p == '.')
		for (p++; *p >= '0' && *p <= '9'; p++)
			frac += (scale /= 10) * (uint64_t)(*p - '0');
	s = (int64_t)timegm(&tm);
	if (*p == 'Z' || *p == 'z') {
		p++;
	} else if (*p == '+' || *p == '-') {
		unsigned h, m;
		int n = 0;

		if (sscanf(p + 1, "%2u:%2u%n", &h, &m, &n) != 2 || n != 5 || h > 23 || m > 59)
			return -EINVAL;
		s += (*p == '-' ? 1 : -1) * (int64_t)(h * 3600 + m * 60);
		p += 1 + n;
	} else {
		return -EINVAL;
	}
	if (*p || s < 0 || s > INT64_C(9223372035))
		return -EINVAL;
	*out_ns = (uint64_t)s * NS_PER_S + frac;
	return 0;
}

int clock_parse(struct span s, uint64_t now_ns, uint64_t *out_ns)
{
	char text[48];
	uint64_t ago;

	if (clock_parse_duration(s, &ago) == 0) {
		*out_ns = ago > now_ns ? 0 : now_ns - ago;
		return 0;
	}
	if (s.len >= sizeof(text))
		return -EINVAL;
	memcpy(text, s.ptr, s.len);
	text[s.len] = '\0';
	return parse_rfc3339(text, out_ns);
}
