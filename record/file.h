// SPDX-License-Identifier: Apache-2.0
/*
 * file.h - packets out of a capture file: pcap of every kind, and pcapng
 *
 * Thread: any, one at a time.
 */
#pragma once

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
void file_close(struct file *f); /* accepts NULL */
AUTO_DEFINE(file, file_close)

/**
 * file_next() - the next packet, in the order of the file
 *
 * Return: 1 with a packet; 0 at the end; -ENODATA when the file ends in the middle of a packet,
 * which is what a recorder leaves that was stopped hard; -EBADMSG when what follows is no packet.
 */
int file_next(struct file *f, struct packet *out, struct err *e) MUST_USE;
