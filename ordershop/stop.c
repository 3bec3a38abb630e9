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

static bool ask_shop(const char *data, const char *request, struct error *err)
{
	char path[PATH_MAX];
	struct buffer answer;
	bool done;

	if (!data_folder_address(data, "control", path, sizeof(path)))
		return data_folder_idle(data, "", err);
	buffer_init(&answer, 65536);
	done = control_ask(path, request, &answer, err);
	buffer_free(&answer);
	return done || (err->code == ERR_UNAVAILABLE && data_folder_idle(data, "", err));
}

static int change_service(const struct subcommand *self, int argc, char **argv)
{
	int outcome = command_options(self, options, ARRAY_LEN(options), &argc, argv);
	char request[128];
	struct error err;

	if (outcome != COMMAND_GO)
		return outcome;
	if (argc != 2)
		return command_misuse(self, "name one service");
	snprintf(request, sizeof(request), "%s %.100s", self->name, argv[1]);
	if (!ask_shop(config_string(options, ARRAY_LEN(options), "data"), request, &err)) {
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
