/* status.c - `ordershop status`: one look at everything that runs. */
#include "ordershop/client.h"
#include "ordershop/command.h"
#include "ordershop/control.h"
#include "ordershop/data_folder.h"
#include "ordershop/lines.h"
#include "proto/eventstore_v1.pb-c.h"
#include "proto/messagequeue_v1.pb-c.h"
#include "proto/readmodel_v1.pb-c.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct config_option options[] = { SHOP_OPTIONS };

static double resident_mib(int pid)
{
	char path[64];
	unsigned long total, resident = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/statm", pid);
	file = fopen(path, "re");
	if (!file)
		return 0;
	/* What the kernel writes needs no check. NOLINTNEXTLINE(cert-err34-c) */
	if (fscanf(file, "%lu %lu", &total, &resident) != 2)
		resident = 0;
	fclose(file);
	return (double)resident * (double)sysconf(_SC_PAGESIZE) / (1024 * 1024);
}

static void print_duration(uint64_t seconds, char out[32])
{
	if (seconds < 120)
		snprintf(out, 32, "%" PRIu64 " s", seconds);
	else if (seconds < 7200)
		snprintf(out, 32, "%" PRIu64 " min", seconds / 60);
	else
		snprintf(out, 32, "%" PRIu64 " h", seconds / 3600);
}

/* Each line of the supervisor: name, state, pid, seconds, restarts. */
static void print_process(const char *line)
{
	char name[64], state[32], since[32];
	unsigned long long seconds;
	unsigned restarts;
	int pid;

	/* NOLINTNEXTLINE(cert-err34-c) */
	if (sscanf(line, "%63s %31s %d %llu %u", name, state, &pid, &seconds, &restarts) != 5)
		return;
	print_duration(seconds, since);
	if (pid > 0)
		printf("%-16s %-10s %8s %8d %10u %9.1f MiB\n", name, state, since, pid, restarts,
		       resident_mib(pid));
	else
		printf("%-16s %-10s %8s %8s %10u %13s\n", name, state, since, "-", restarts, "-");
}

/* Only where a supervisor runs (else false); elsewhere the services are somebody else's. */
static bool print_processes(const char *data)
{
	char path[PATH_MAX];
	struct buffer answer;
	struct error err;
	bool runs;

	if (!data_folder_address(data, "control", path, sizeof(path)))
		return false;
	buffer_init(&answer, 65536);
	runs = control_ask(path, "status", &answer, &err);
	if (runs) {
		char *rest = answer.bytes;
		char *line;

		printf("%-16s %-10s %8s %8s %10s %13s\n", "service", "state", "for", "pid",
		       "restarts", "memory");
		while ((line = strsep(&rest, "\n")))
			print_process(line);
		printf("\n");
	}
	buffer_free(&answer);
	return runs;
}

static void print_groups(const Es__TopicsResponse *topics)
{
	bool any = false;

	for (size_t i = 0; i < topics->n_topics; i++) {
		for (size_t j = 0; j < topics->topics[i]->n_groups; j++) {
			const Es__GroupInfo *group = topics->topics[i]->groups[j];

			if (!any)
				printf("\n%-16s %-16s %12s %12s %12s\n", "topic", "group", "lag",
				       "in flight", "parked");
			any = true;
			printf("%-16s %-16s %12" PRIu64 " %12" PRIu64 " %12" PRIu64 "\n",
			       topics->topics[i]->topic, group->group, group->lag, group->in_flight,
			       group->parked);
		}
	}
}

static bool print_topics(struct client *client, struct error *err)
{
	Es__TopicsRequest request = ES__TOPICS_REQUEST__INIT;
	const ProtobufCMessage *response;
	const Es__TopicsResponse *topics;

	if (!client_call(client, TARGET_EVENT_STORE, "Topics", &request.base, &response, err))
		return false;
	topics = (const void *)response;
	printf("%-16s %12s %24s %14s\n", "topic", "events", "last id", "memory");
	for (size_t i = 0; i < topics->n_topics; i++) {
		const Es__TopicInfo *topic = topics->topics[i];

		printf("%-16s %12" PRIu64 " %24s %10.1f KiB\n", topic->topic, topic->length,
		       topic->last_id, (double)topic->bytes / 1024);
	}
	print_groups(topics);
	return true;
}

static bool print_queues(struct client *client, struct error *err)
{
	Mq__QueuesRequest request = MQ__QUEUES_REQUEST__INIT;
	const ProtobufCMessage *response;
	const Mq__QueuesResponse *queues;
	size_t idle = 0;

	if (!client_call(client, TARGET_MESSAGE_QUEUE, "Queues", &request.base, &response, err))
		return false;
	queues = (const void *)response;
	printf("\n%-42s %8s %10s %10s %6s %10s\n", "queue", "waiting", "in flight", "oldest",
	       "dead", "consumers");
	for (size_t i = 0; i < queues->n_queues; i++) {
		const Mq__QueueInfo *queue = queues->queues[i];
		char name[140];

		if (queue->depth + queue->in_flight + queue->dead == 0 && queue->consumers > 0) {
			idle++;
			continue;
		}
		snprintf(name, sizeof(name), "%s/%s", queue->service, queue->function);
		printf("%-42s %8" PRIu64 " %10" PRIu64 " %7" PRIu64 " ms %6" PRIu64 " %10" PRIu64
		       "\n",
		       name, queue->depth, queue->in_flight, queue->oldest_age_ms, queue->dead,
		       queue->consumers);
	}
	printf("%zu %s%s empty, with consumers\n", idle, idle < queues->n_queues ? "other " : "",
	       plural(idle, "queue is", "queues are"));
	return true;
}

static bool print_model(struct client *client, struct error *err)
{
	Rm__CheckpointsRequest request = RM__CHECKPOINTS_REQUEST__INIT;
	const ProtobufCMessage *response;
	const Rm__CheckpointsResponse *model;

	if (!client_call(client, TARGET_READ_MODEL, "Checkpoints", &request.base, &response, err))
		return false;
	model = (const void *)response;
	printf("\n%-16s %8s %24s %24s %12s\n", "projection", "version", "has come to", "of", "lag");
	for (size_t i = 0; i < model->n_checkpoints; i++) {
		const Rm__Checkpoint *at = model->checkpoints[i];

		printf("%-16s %8u %24s %24s %12" PRIu64 "\n", at->projection, at->version,
		       at->entry_id, at->log_entry_id, at->lag);
	}
	return true;
}

int status_command(const struct subcommand *self, int argc, char **argv)
{
	static bool (*const parts[])(struct client *,
	                             struct error *) = { print_topics, print_queues, print_model };
	int outcome = command_options(self, options, ARRAY_LEN(options), &argc, argv);
	const char *data = config_string(options, ARRAY_LEN(options), "data");
	struct client client;
	struct error err;
	bool supervised;

	if (outcome != COMMAND_GO)
		return outcome;
	if (argc > 1)
		return command_misuse(self, "'%s' is not an option", argv[1]);
	supervised = print_processes(data);
	client_open(&client, options, ARRAY_LEN(options));
	/* One that is down does not hide the others. */
	outcome = EXIT_OK;
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		fflush(stdout);
		if (parts[i](&client, &err))
			continue;
		outcome = command_fail(self, "%s", err.message);
		if (i == 0 && !supervised && err.code == ERR_UNAVAILABLE)
			break; /* nothing of a shop is there */
	}
	client_close(&client);
	return outcome;
}
