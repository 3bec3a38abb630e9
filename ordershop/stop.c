/* stop.c - `ordershop stop` and `ordershop start`: one service of a running shop. */
#include "ordershop/command.h"
#include "ordershop/control.h"
#include "ordershop/data_folder.h"
#include "ordershop/services.h"

#include <stdio.h>
#include <string.h>

static struct config_option options[] = {
	{ .name = "data",
	  .placeholder = "DIR",
	  .help = "data folder of the running shop",
	  .fallback = "data" },
};

static const char *const without[] = {
	[STAGE_REDIS] = "what needs it answers UNAVAILABLE",
	[STAGE_STORE] = "nothing can be written",
	[STAGE_QUEUE] = "no command runs",
	[STAGE_MODEL] = "no query is answered",
	[STAGE_DOMAIN] = "what is sent to it waits in its queues",
	[STAGE_GATEWAY] = "no pages and no REST",
};

/* The supervisor took the name: what is no service is one of its redis-servers. */
static void print_stopped(const char *name)
{
	const struct service_info *service = service_find(name);

	printf("%s is stopped: %s until `ordershop start %s`\n", name,
	       without[service ? service->stage : STAGE_REDIS], name);
}

static int change_service(const struct subcommand *self, int argc, char **argv)
{
	int outcome = command_options(self, options, ARRAY_LEN(options), &argc, argv);
	const char *data = config_string(options, ARRAY_LEN(options), "data");
	char path[PATH_MAX], request[128];
	struct buffer answer;
	struct error err;
	bool done;

	if (outcome != COMMAND_GO)
		return outcome;
	if (argc != 2)
		return command_misuse(self, "name one service");
	if (!data_folder_address(data, "control", path, sizeof(path)))
		return command_fail(self, "no shop runs in %s; name its folder with --data DIR",
		                    data);
	snprintf(request, sizeof(request), "%s %.100s", self->name, argv[1]);
	buffer_init(&answer, 65536);
	done = control_ask(path, request, &answer, &err);
	buffer_free(&answer);
	if (!done) {
		err.message[strcspn(err.message, "\n")] = '\0';
		return command_fail(self, "%s", err.message);
	}
	if (strcmp(self->name, "stop") == 0)
		print_stopped(argv[1]);
	return EXIT_OK;
}

int stop_command(const struct subcommand *self, int argc, char **argv)
{
	return change_service(self, argc, argv);
}

int start_command(const struct subcommand *self, int argc, char **argv)
{
	return change_service(self, argc, argv);
}
