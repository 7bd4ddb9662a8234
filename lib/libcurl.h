// SPDX-License-Identifier: Apache-2.0
/*
 * libcurl.h - libcurl, loaded when it is first needed
 *
 * It brings thirty more libraries into the process, which take longer to load than most subcommands run; those
 * that do not ask the daemon do without. Thread: main.
 */
#pragma once

#define CURL_DISABLE_TYPECHECK /* its macros hide the functions' names */
#include <curl/curl.h>

#include "lib/err.h"

#define LIBCURL_FUNCTIONS(X)                                                                       \
	X(curl_easy_cleanup)                                                                       \
	X(curl_easy_getinfo)                                                                       \
	X(curl_easy_init)                                                                          \
	X(curl_easy_perform)                                                                       \
	X(curl_easy_recv)                                                                          \
	X(curl_easy_send)                                                                          \
	X(curl_easy_setopt)                                                                        \
	X(curl_easy_strerror)                                                                      \
	X(curl_multi_add_handle)                                                                   \
	X(curl_multi_cleanup)                                                                      \
	X(curl_multi_info_read)                                                                    \
	X(curl_multi_init)                                                                         \
	X(curl_multi_perform)                                                                      \
	X(curl_multi_poll)                                                                         \
	X(curl_multi_remove_handle)                                                                \
	X(curl_multi_wakeup)                                                                       \
	X(curl_slist_append)                                                                       \
	X(curl_slist_free_all)

/* Its functions, under their names. */
struct libcurl {
#define LIBCURL_FUNCTION(name) __typeof__(name) *name;
	LIBCURL_FUNCTIONS(LIBCURL_FUNCTION)
#undef LIBCURL_FUNCTION
};

/* libcurl_load() - fill in @lib; it stays loaded. Return: 0; -EIO: it is not installed, or lacks one of them */
int libcurl_load(struct libcurl *lib, struct err *e) MUST_USE;
