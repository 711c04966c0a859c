/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command table and how a line becomes a call. Owns: lookup, options, argument counts,
 * the texts of usage errors. Must not know: any particular command, the console.
 */
#ifndef RAYOS_SHELL_COMMAND_H
#define RAYOS_SHELL_COMMAND_H

#include "kernel/cmd.h"

/** All commands in the order of their names: NULL gives the first, the last gives NULL. */
const struct shell_cmd *command_next(const struct shell_cmd *after);

/** Number of registered descriptors, equal names included. */
size_t command_count(void);

/** Length of the first word of a command's name; the whole name for a one-word command. */
size_t command_group_len(const struct shell_cmd *cmd);
/** Does the command belong to the group, that is, has it two words, @group the first? */
bool command_in_group(const struct shell_cmd *cmd, const char *group);

/**
 * Find the command a line begins with; two words go before one.
 * @used  number of words that are the name, written on success
 * Returns: NULL when there is none
 */
const struct shell_cmd *command_find(char *const *words, int count, int *used);

/** Print "NAME ARGS [OPTIONS]" as in a usage line. */
void command_print_usage(struct sink *out, const struct shell_cmd *cmd);
/** Print all there is to say about a command. */
void command_print_help(struct sink *out, const struct shell_cmd *cmd);

/**
 * Run one line on a terminal; says on it what is wrong.
 * @line  split in place
 * Context: thread. Returns: as shell_cmd.run; 0 for an empty line; -RAY_EINVAL for a line
 *          that is no command or has wrong arguments
 * Trust:   any terminated text without control characters
 */
int command_run_line(struct cmd_io *io, char *line);

#endif
