/* serve.c - `ordershop serve SERVICE`: one service until SIGTERM. */
#include "ordershop/command.h"
int serve_command(const struct command *self, int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return command_fail(self, "x");
}
