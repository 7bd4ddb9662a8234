// SPDX-License-Identifier: Apache-2.0
/*
 * census_parts.h - what a census is made of: for kube/census_make.c, which makes it, and
 * kube/census.c, which is asked
 */
#pragma once

#include "kube/census.h"
#include "kube/service.h"
#include "kube/slice.h"
#include "kube/tenure.h"

/* Whose an address was, and when. */
struct census_row {
	uint8_t address[16];
	uint16_t port; /* 0: any */
	struct tenure tenure;
	struct identity who, inferred, common;
};

struct census_person {
	const struct kube_pod *pod; /* a reference */
	struct identity who;
	bool is_gone;
};

/* An endpoint of a slice, while the census is made. */
struct census_place {
	const struct kube_endpoint *at; /* the slice's */
	struct span service, name_space;
	uint64_t created_ns;
};

struct census {
	uint64_t lost_ns; /* since when the API server is away; 0: it is there */
	struct census_row *rows;
	size_t row_count, row_room;
	struct census_person *people; /* finished: by UID */
	size_t person_count, person_room, here_count;
	struct kube_service **services; /* owned */
	size_t service_count, service_room;
	struct census_place *places; /* by UID of their pods once there is one pod */
	size_t place_count, place_room, loose_count; /* loose: of no pod */
	bool has_order;
	char **texts; /* owned */
	size_t text_count, text_room;
};

/* By address, then by port; by UID: as the rows and the people of a finished census stand. */
int census_compare_place(const struct census_row *a, const uint8_t address[16], uint16_t port);
int census_compare_uids(struct span a, struct span b);
int census_compare_people(const void *a, const void *b);
