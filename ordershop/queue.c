/* queue.c - `ordershop queue`: looks after the queues and their dead letters. */
#include "ordershop/client.h"
#include "ordershop/command.h"
#include "ordershop/lines.h"
#include "proto/messagequeue_v1.pb-c.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct config_option options[] = {
	{ .name = "all",
	  .type = CONFIG_FLAG,
	  .once = true,
	  .help = "requeue, drop: all dead letters" },
	{ .name = "limit",
	  .type = CONFIG_INTEGER,
	  .placeholder = "N",
	  .once = true,
	  .help = "dead: end after so many; 0: no limit",
	  .fallback = "0",
	  .max = INT64_MAX },
	{ .name = "json",
	  .type = CONFIG_FLAG,
	  .once = true,
	  .help = "dead: one JSON object per line" },
	SHOP_OPTIONS,
};

enum { PAGE = 500, IDS_MAX = 1000 };

/* What was asked for: `ACTION SERVICE/FUNCTION WORD...`. */
struct task {
	struct client client;
	char service[65], function[65];
	char **words;
	size_t word_count;
	uint64_t printed;
};

static bool flag(const char *name)
{
	return config_flag(options, ARRAY_LEN(options), name);
}

static bool call(struct task *task, const char *method, const ProtobufCMessage *request,
                 const ProtobufCMessage **response, struct error *err)
{
	if (client_call(&task->client, TARGET_MESSAGE_QUEUE, method, request, response, err))
		return true;
	/* The service names its own method. */
	if (err->code == ERR_NOT_FOUND)
		error_set(err, ERR_NOT_FOUND,
		          "there is no queue %s/%s; ordershop queue list shows all", task->service,
		          task->function);
	return false;
}

static bool get_queues(struct task *task, const Mq__QueuesResponse **queues, struct error *err)
{
	Mq__QueuesRequest request = MQ__QUEUES_REQUEST__INIT;

	return call(task, "Queues", &request.base, (const ProtobufCMessage **)queues, err);
}

/* ---- list ---- */

static bool list(struct task *task, struct error *err)
{
	const Mq__QueuesResponse *queues;

	if (!get_queues(task, &queues, err))
		return false;
	printf("%-42s %8s %8s %10s %12s %6s %10s %9s\n", "queue", "waiting", "delayed", "in flight",
	       "oldest", "dead", "consumers", "limit");
	for (size_t i = 0; i < queues->n_queues; i++) {
		const Mq__QueueInfo *queue = queues->queues[i];
		char name[140];

		snprintf(name, sizeof(name), "%s/%s", queue->service, queue->function);
		printf("%-42s %8" PRIu64 " %8" PRIu64 " %10" PRIu64 " %9" PRIu64 " ms %6" PRIu64
		       " %10" PRIu64 " %9" PRIu64 "\n",
		       name, queue->depth - queue->delayed, queue->delayed, queue->in_flight,
		       queue->oldest_age_ms, queue->dead, queue->consumers, queue->max_messages);
	}
	return true;
}

/* ---- dead ---- */

static void print_letter_json(const struct task *task, const Mq__DeadLetter *letter)
{
	const char *metadata = letter->message->metadata;
	struct buffer line;
	char when[LINE_TIME_SIZE];

	buffer_init(&line, LINE_MAX_BYTES);
	buffer_putc(&line, '{');
	buffer_printf(&line, "\"parked_at\":\"%sZ\",", line_time(letter->parked_at_ms, when));
	buffer_printf(&line, "\"queued_at\":\"%sZ\",", line_time(letter->queued_at_ms, when));
	line_string(&line, "service", task->service);
	line_string(&line, "function", task->function);
	line_string(&line, "message_id", letter->message->message_id);
	buffer_printf(&line, "\"attempts\":%u,", letter->attempts);
	line_string(&line, "reason", letter->reason);
	line_json(&line, "payload", letter->message->payload);
	buffer_putc(&line, ',');
	line_json(&line, "metadata", *metadata ? metadata : "{}");
	buffer_putc(&line, '}');
	buffer_putc(&line, '\n');
	fwrite(line.bytes, 1, line.len, stdout);
	buffer_free(&line);
}

static void print_letter(const struct task *task, const Mq__DeadLetter *letter)
{
	char when[LINE_TIME_SIZE];

	if (flag("json")) {
		print_letter_json(task, letter);
		return;
	}
	line_printf("%sZ %s/%s %s %u %s: %s", line_time(letter->parked_at_ms, when), task->service,
	            task->function, letter->message->message_id, letter->attempts,
	            plural(letter->attempts, "attempt", "attempts"), letter->reason);
}

/* Of the queue that the task names. */
static bool dead_of_one(struct task *task, struct error *err)
{
	uint64_t limit = (uint64_t)config_integer(options, ARRAY_LEN(options), "limit");
	const Mq__DeadLettersResponse *page;
	const ProtobufCMessage *response;
	char after[32] = "";

	do {
		Mq__DeadLettersRequest request = MQ__DEAD_LETTERS_REQUEST__INIT;

		request.service = task->service;
		request.function = task->function;
		request.limit = PAGE;
		request.after = after;
		if (!call(task, "DeadLetters", &request.base, &response, err))
			return false;
		page = (const void *)response;
		for (size_t i = 0; i < page->n_letters; i++) {
			if (limit > 0 && task->printed == limit)
				return true;
			print_letter(task, page->letters[i]);
			task->printed++;
		}
		snprintf(after, sizeof(after), "%s", page->next);
		arena_reset(task->client.arena);
	} while (*after && !ferror(stdout));
	return true;
}

/* Of all queues: their names are kept, for each page takes the memory of the one before. */
static bool dead_of_all(struct task *task, struct error *err)
{
	const Mq__QueuesResponse *queues;
	Mq__QueueInfo *names;
	size_t count = 0;
	bool done = true;

	if (!get_queues(task, &queues, err))
		return false;
	names = calloc(queues->n_queues + 1, sizeof(*names));
	ASSERT(names != NULL);
	for (size_t i = 0; i < queues->n_queues; i++) {
		if (queues->queues[i]->dead == 0)
			continue;
		names[count].service = strdup(queues->queues[i]->service);
		names[count].function = strdup(queues->queues[i]->function);
		count++;
	}
	for (size_t i = 0; i < count; i++) {
		snprintf(task->service, sizeof(task->service), "%s", names[i].service);
		snprintf(task->function, sizeof(task->function), "%s", names[i].function);
		done = done && dead_of_one(task, err);
		free((char *)names[i].service);
		free((char *)names[i].function);
	}
	free(names);
	return done;
}

static bool dead(struct task *task, struct error *err)
{
	bool done = *task->service ? dead_of_one(task, err) : dead_of_all(task, err);

	if (done && task->printed == 0 && !flag("json"))
		fprintf(stderr, "there are no dead letters\n");
	return done;
}

/* ---- requeue, drop, purge, limit ---- */

static bool move_dead(struct task *task, const char *method, const char *done, struct error *err)
{
	Mq__DeadSelection request = MQ__DEAD_SELECTION__INIT;
	const ProtobufCMessage *response;
	uint64_t count;

	request.service = task->service;
	request.function = task->function;
	request.all = flag("all");
	request.message_ids = (const char **)task->words;
	request.n_message_ids = task->word_count;
	if (!call(task, method, &request.base, &response, err))
		return false;
	count = ((const Mq__DeadCount *)response)->count;
	printf("%" PRIu64 " %s\n", count, done);
	if (count < task->word_count)
		return error_set(
		    err, ERR_NOT_FOUND,
		    "%" PRIu64 " of them %s of %s/%s; "
		    "`ordershop queue dead %s/%s` lists these",
		    task->word_count - count,
		    plural(task->word_count - count, "is no dead letter", "are no dead letters"),
		    task->service, task->function, task->service, task->function);
	return true;
}

static bool requeue(struct task *task, struct error *err)
{
	return move_dead(task, "RequeueDead", "requeued", err);
}

static bool drop(struct task *task, struct error *err)
{
	return move_dead(task, "DropDead", "dropped", err);
}

static bool purge(struct task *task, struct error *err)
{
	Mq__PurgeRequest request = MQ__PURGE_REQUEST__INIT;
	const ProtobufCMessage *response;

	request.service = task->service;
	request.function = task->function;
	if (!call(task, "Purge", &request.base, &response, err))
		return false;
	printf("%" PRIu64 " purged\n", ((const Mq__PurgeResponse *)response)->purged);
	return true;
}

static bool set_limit(struct task *task, struct error *err)
{
	Mq__ConfigureRequest request = MQ__CONFIGURE_REQUEST__INIT;
	const ProtobufCMessage *response;
	const char *number = task->words[0];
	char *end;

	request.service = task->service;
	request.function = task->function;
	request.max_messages = strtoull(number, &end, 10);
	if (*number < '0' || *number > '9' || *end)
		return error_set(err, ERR_INVALID, "'%s' is no number of messages", number);
	return call(task, "Configure", &request.base, &response, err);
}

/* ---- the words ---- */

static const struct action {
	const char *name;
	bool needs_queue;
	size_t min_words, max_words; /* after the queue */
	bool or_all;                 /* --all instead of them */
	bool (*run)(struct task *task, struct error *err);
	const char *usage;
} actions[] = {
	{ "list", false, 0, 0, false, list, "list" },
	{ "dead", false, 0, 0, false, dead, "dead [SERVICE/FUNCTION]" },
	{ "requeue", true, 1, IDS_MAX, true, requeue, "requeue SERVICE/FUNCTION ID...|--all" },
	{ "drop", true, 1, IDS_MAX, true, drop, "drop SERVICE/FUNCTION ID...|--all" },
	{ "purge", true, 0, 0, false, purge, "purge SERVICE/FUNCTION" },
	{ "limit", true, 1, 1, false, set_limit, "limit SERVICE/FUNCTION N" },
};

static const struct action *find_action(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(actions); i++) {
		if (strcmp(actions[i].name, name) == 0)
			return &actions[i];
	}
	return NULL;
}

static int no_action(const struct subcommand *self, const char *word)
{
	const char *names[ARRAY_LEN(actions)];
	char hint[HINT_SIZE];

	for (size_t i = 0; i < ARRAY_LEN(actions); i++)
		names[i] = actions[i].name;
	return command_misuse(self, "there is no '%s'%s", word,
	                      closest_hint(hint, word, names, ARRAY_LEN(names)));
}

/* "service/function", or "service.function" as `status` prints it. */
static bool take_name(struct task *task, const char *name)
{
	size_t len = strcspn(name, strchr(name, '/') ? "/" : ".");

	if (len == 0 || len >= sizeof(task->service) || !name[len] || !name[len + 1] ||
	    strlen(name + len + 1) >= sizeof(task->function))
		return false;
	memcpy(task->service, name, len);
	strcpy(task->function, name + len + 1);
	return true;
}

/* argv[1]: the action. False: the words do not fit it. */
static bool take_words(struct task *task, const struct action *action, int argc, char **argv)
{
	bool all = flag("all");

	if (argc > 2 && strcmp(action->name, "list") == 0)
		return false;
	if (flag("json") && strcmp(action->name, "dead") != 0)
		return false;
	if (argc > 2 ? !take_name(task, argv[2]) : action->needs_queue)
		return false;
	task->words = argv + 3;
	task->word_count = argc > 3 ? (size_t)(argc - 3) : 0;
	if (all)
		return action->or_all && task->word_count == 0;
	return task->word_count >= action->min_words && task->word_count <= action->max_words;
}

int queue_command(const struct subcommand *self, int argc, char **argv)
{
	int outcome = command_options(self, options, ARRAY_LEN(options), &argc, argv);
	const struct action *action;
	struct task task = { 0 };
	struct error err;
	bool done;

	if (outcome != COMMAND_GO)
		return outcome;
	if (argc < 2)
		return command_misuse(self, "say what to do: list, dead, requeue, drop, purge or "
		                            "limit");
	action = find_action(argv[1]);
	if (!action)
		return no_action(self, argv[1]);
	if (!take_words(&task, action, argc, argv))
		return command_misuse(self, "it is ordershop queue %s", action->usage);
	client_open(&task.client, options, ARRAY_LEN(options));
	done = action->run(&task, &err);
	client_close(&task.client);
	return done ? EXIT_OK : command_fail(self, "%s", err.message);
}
