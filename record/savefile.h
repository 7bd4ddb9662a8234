// SPDX-License-Identifier: Apache-2.0
/* savefile.h - read the pcap files that are met every day; record/file.c calls it. Thread: any, one at a time */
#pragma once

#include "record/file.h"

#define SAVEFILE_HEADER_BYTES 24

struct savefile;

/* savefile_reads() - @header begins a file of a kind that is read here; libpcap reads all others */
bool savefile_reads(const uint8_t header[SAVEFILE_HEADER_BYTES]);
/**
 * savefile_new() - read packets
 * @fd:     stands behind the header; borrowed
 * @header: for which savefile_reads()
 *
 * Return: free with savefile_free(); NULL when out of memory.
 */
struct savefile *savefile_new(int fd, const uint8_t header[SAVEFILE_HEADER_BYTES]) MUST_USE;
void savefile_free(struct savefile *s); /* accepts NULL */
AUTO_DEFINE(savefile, savefile_free)
/* savefile_next() - as file_next(); the reason in @e does not name the file */
int savefile_next(struct savefile *s, struct packet *out, struct err *e) MUST_USE;
