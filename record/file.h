// SPDX-License-Identifier: Apache-2.0
/*
 * file.h - packets out of a capture file: pcap of every kind, and pcapng
 *
 * Thread: any, one at a time.
 */
#pragma once

#include <sys/types.h>

#include "lib/err.h"

struct file;

struct packet {
	uint64_t ts_ns;	   /* wall time */
	struct span bytes; /* borrowed until the next file_next() */
	size_t length;	   /* on the wire [bytes], >= bytes.len */
	int linktype;	   /* DLT_ number */
};

/**
 * file_open() - open a capture file and read its header
 * @path: "-" is standard input
 * @e:    names the path: -ENOENT, -EACCES and so on from opening; -EBADMSG when it is no capture
 */
int file_open(const char *path, struct file **f_out, struct err *e) MUST_USE;
/*
 * The same in two steps, for who reads other files too: file_begin() opens and reads
 * FILE_FIRST_BYTES, file_choose() makes a capture of it; or file_read() gives all bytes, the first
 * ones again.
 */
#define FILE_FIRST_BYTES 24
int file_begin(const char *path, struct file **f_out, struct err *e) MUST_USE;
struct span file_first(const struct file *f); /* shorter when the file is */
bool file_is_capture(const struct file *f);   /* by its first bytes */
int file_choose(struct file *f, struct err *e) MUST_USE;
ssize_t file_read(struct file *f, void *to, size_t room); /* as read(2) */
const char *file_name(const struct file *f);		  /* its path, or "standard input" */
void file_close(struct file *f);			  /* accepts NULL */
AUTO_DEFINE(file, file_close)

/**
 * file_next() - the next packet, in the order of the file
 *
 * Return: 1 with a packet; 0 at the end; -ENODATA when the file ends in the middle of a packet,
 * which is what a recorder leaves that was stopped hard; -EBADMSG when what follows is no packet.
 */
int file_next(struct file *f, struct packet *out, struct err *e) MUST_USE;
