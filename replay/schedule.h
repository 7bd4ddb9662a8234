// SPDX-License-Identifier: Apache-2.0
/* schedule.h - when each request is due: recorded times made offsets from the run's beginning */
#pragma once

#include "lib/base.h"

struct schedule_config {
	/* 1: as recorded, 4: four times as fast; 0: flat out, everything is due at once */
	double speed;
	double rate_per_s; /* > 0: one every 1/rate seconds, whatever was recorded */
	/* silences of the recording longer than this are shortened to it; 0: none are */
	uint64_t max_gap_ns;
};

/* Zero-initialise, set .config, then call schedule_next() in order of recording. */
struct schedule {
	struct schedule_config config;
	uint64_t count;	      /* times asked */
	uint64_t last_ns;     /* recorded time of the newest one asked for */
	double at;	      /* offset of the newest one [ns] */
	uint64_t squeezed;    /* gaps that were shortened */
	uint64_t squeezed_ns; /* recorded time left out by that */
};

/**
 * schedule_next() - when the next request is due
 * @start_ns: its recorded time; one that lies before the last (a clock step) is due with the last
 *
 * Return: offset from the beginning of the run [ns]; never smaller than the one before.
 */
uint64_t schedule_next(struct schedule *s, uint64_t start_ns);
/*
 * schedule_period_ns() - when the next loop over the same requests begins, from the beginning of
 * this one: the time of the last request and one average step more.
 */
uint64_t schedule_period_ns(const struct schedule *s);
