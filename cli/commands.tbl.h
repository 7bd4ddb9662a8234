// SPDX-License-Identifier: Apache-2.0
/*
 * The subcommands of `tapeloop`, in the order of --help. COMMAND(NAME): `command_NAME` in cli/NAME.c
 */
// clang-format off
COMMAND(ls)
COMMAND(tail)
COMMAND(show)
COMMAND(failures)
COMMAND(stats)
COMMAND(replay)
COMMAND(keep)
COMMAND(export)
COMMAND(import)
COMMAND(tapes)
COMMAND(doctor)
COMMAND(fsck)
COMMAND(backup)
COMMAND(seal)
COMMAND(completion)
COMMAND(man)
// clang-format on
