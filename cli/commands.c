// SPDX-License-Identifier: Apache-2.0
#include "cli/cli.h"

#define COMMAND(name) &command_##name,
const struct command *const commands[] = {
#include "cli/commands.tbl.h"
	NULL,
};
#undef COMMAND

#define COMMAND(name) #name,
const char *const command_names[] = {
#include "cli/commands.tbl.h"
	NULL,
};
#undef COMMAND
