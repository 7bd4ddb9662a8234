// SPDX-License-Identifier: Apache-2.0
#include "lib/libcurl.h"

#include <dlfcn.h>
#include <errno.h>

#define LIBCURL_FILE "libcurl.so.4" /* its ABI since 2006 */

static int refuse(struct err *e)
{
	const char *why = dlerror();

	return err_set(e, -EIO, "nothing can be asked without libcurl: %s",
		       why ? why : LIBCURL_FILE);
}

/* dlsym() gives a pointer to data where C wants one to a function: POSIX has them alike */
static bool find(void *handle, const char *name, void *function_out)
{
	void *at = dlsym(handle, name);

	memcpy(function_out, &at, sizeof(at));
	return at != NULL;
}

int libcurl_load(struct libcurl *lib, struct err *e)
{
	void *handle = dlopen(LIBCURL_FILE, RTLD_NOW | RTLD_LOCAL);

	if (!handle)
		return refuse(e);
#define LIBCURL_FUNCTION(name)                                                                     \
	if (!find(handle, #name, &lib->name))                                                      \
		return refuse(e);
	LIBCURL_FUNCTIONS(LIBCURL_FUNCTION)
#undef LIBCURL_FUNCTION
	return 0;
}
