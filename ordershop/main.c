/* main.c - `ordershop`: one executable, one row per subcommand. */
#include "ordershop/command.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

/* The paragraph of commands that look back. */
#define MOMENTS                                                                                    \
	"\n\nTIME is 2024-05-01T12:30:00 (UTC; up to microseconds, or without seconds; a day\n"    \
	"alone is its first moment), or `10m`, `2h`, `3d` ago; ID an entry id. What happened at\n" \
	"that moment counts."

static const struct subcommand commands[] = {
	{ "run", "", "Starts the whole shop and keeps it running.", run_command,
	  "Two private redis-servers in the data folder, one for the log and the messages and\n"
	  "one for the read model, and every service as a process of its own. Prints\n"
	  "`ready URL` when all are healthy. Ctrl-C or SIGTERM stops everything; nothing that was\n"
	  "acknowledged is lost. What a service says is in DATA/logs/SERVICE.log." },
	{ "serve", "SERVICE", "Runs one service.", serve_command,
	  "Services: event-store message-queue read-model gateway customer product inventory\n"
	  "cart order billing shipping crm mail. The event store listens on 127.0.0.1:50051,\n"
	  "the message queue on :50052, the read model on :50053, or where --listen says; the\n"
	  "others look for them there unless told otherwise. The gateway has --host and\n"
	  "--port.\n\n"
	  "Redis is redis://[[user]:password@]host:port[/db], unix:///path[?db=N], several nodes\n"
	  "of a cluster with commas between, or sentinel://host:port,host:port/NAME. With\n"
	  "?replicas=N at the end an answer comes when N replicas have what it says." },
	{ "status", "", "Shows services, topics, queues and how far the read model is.",
	  status_command, NULL },
	{ "stop", "SERVICE", "Stops one service of a running shop, until it is started again.",
	  stop_command,
	  "Everything that `ordershop status` lists can be stopped, also redis and redis-model." },
	{ "start", "SERVICE", "Starts a service that was stopped.", start_command, NULL },
	{ "events", "TOPIC|--all", "Prints the events of a topic, or of all in one order.",
	  events_command,
	  "One line per event: time (UTC), topic, entry id, type, entity, version, data.\n"
	  "--from takes an entry id (exclusive) or a time (UTC): 2024-05-01T12:30:00, also "
	  "without\n"
	  "the seconds or as a day alone, or `10m`, `2h`, `3d` ago." },
	{ "rebuild", "", "Builds the read model anew from the log, and shows how far it is.",
	  rebuild_command,
	  "Queries are answered by the old model until the new one has caught up. If the service "
	  "dies\n"
	  "meanwhile, it goes on with it when it starts again. Nothing of the log is changed.\n"
	  "Ctrl-C ends only this command, not the rebuild." },
	{ "queue", "ACTION", "Looks after the queues and their dead letters.", queue_command,
	  "  list                                   all queues\n"
	  "  dead [SERVICE/FUNCTION]                dead letters, with the reason, oldest first\n"
	  "  requeue SERVICE/FUNCTION ID...|--all   sends them again, with all their attempts\n"
	  "  drop SERVICE/FUNCTION ID...|--all      forgets them\n"
	  "  purge SERVICE/FUNCTION                 takes off all that waits; who waits for it is\n"
	  "                                         answered CANCELLED\n"
	  "  limit SERVICE/FUNCTION N               what it may hold; 0: 1,000,000. Senders above\n"
	  "                                         it are answered RESOURCE_EXHAUSTED" },
	{ "import", "olist DIR", "Plays real orders through the running shop, and verifies.",
	  import_command,
	  "DIR holds the CSV files of the public Brazilian E-Commerce data set of Olist:\n"
	  "orders, items, payments, customers. Every order is brought by commands to the\n"
	  "status that it really had. An import that was interrupted goes on where it ended;\n"
	  "a second one changes nothing. Exit status 1 when the shop differs from the files." },
	{ "show", "ENTITY ID", "Prints an entity as it is, or as it was.", show_command,
	  "ENTITY is a topic: customer product inventory cart order billing shipping." MOMENTS },
	{ "history", "ENTITY ID", "Prints who changed an entity when, and what led to it.",
	  history_command,
	  "First its events with what each changed; then, as trees, the commands and events that\n"
	  "led to them, from the ids in their metadata. Events of the entity itself are marked "
	  "*." },
	{ "diff", "[ENTITY [ID]]", "Prints what changed between two moments, per entity and field.",
	  diff_command, "+ created, - deleted, ~ changed. ENTITY and ID: only these." MOMENTS },
	{ "verify", "", "Checks that what must be true of the shop is true of its log.",
	  verify_command,
	  "Prints the table of invariants with what was checked and what violates them, and the\n"
	  "hashes of log and state. Of a shop that has nothing left to do also what must be true\n"
	  "then, and that the read model is what the log comes to (if not: ordershop rebuild). "
	  "Exit\n"
	  "status 1 when there is a violation." MOMENTS },
	{ "bisect", "INVARIANT", "Finds the first event after which an invariant fails.",
	  bisect_command,
	  "ordershop verify lists the invariants. Of one that holds only in a shop at rest: the\n"
	  "event since which the first of its violations lasts, and only now, not --at." MOMENTS },
	{ "export", "FILE", "Writes the log of a shop at rest into a file.", export_command,
	  "One line of JSON per event, compressed by zstd; `zstdcat FILE` shows them. The last "
	  "line\n"
	  "has hashes of log and state. What is not in the log is not in the file: messages that "
	  "wait\n"
	  "in queues, dead letters, which events are parked. More than 256 topics or 1000 groups\n"
	  "cannot be restored, and are refused." },
	{ "restore", "FILE", "Writes the log of a file into an empty store.", restore_command,
	  "Checks the whole file first: what was cut off or altered is refused, with the line. "
	  "Then\n"
	  "all events are written with the ids that they had, groups are taken where they were, "
	  "so\n"
	  "that nobody reacts to what happened long ago, the log is read again and compared, and\n"
	  "the read model is built anew. What was interrupted goes on when it is restored again." },
	{ "scenario", "FILE|DIR...", "Runs scenario files: short histories and what comes of them.",
	  scenario_command,
	  "A file says in YAML what is given, which commands are sent, which faults happen, and\n"
	  "what must come of it: tests/scenarios/README.md. In process, the default, the clock is\n"
	  "virtual and the ids follow from a seed: one file gives one log, byte for byte, on\n"
	  "every machine. --live and --rest use a running shop, look only at what they caused\n"
	  "there, and skip files with faults. Of a folder all *.yaml are run, in the order of\n"
	  "their names. Exit status: 0 all held, 1 not, 2 a file or an option is wrong." },
	{ "simulate", "", "Plays random histories in memory, and checks what must be true.",
	  simulate_command,
	  "The rules of all services run over a log, a queue and groups in memory. Random clients\n"
	  "send every command, wrong ones too; services are stopped, killed and frozen, messages\n"
	  "and events doubled, delayed and reordered, answers lost. Every invariant of\n"
	  "`ordershop verify` is checked with every event, those of a shop at rest at every rest,\n"
	  "and at the end of each history, when all services live, the shop must come to rest and\n"
	  "the read model, its lists too, have what the log comes to.\n\n"
	  "The same seed gives the same histories and the same hash on every machine. When\n"
	  "something is found, the history is made as short as it can be and written as a\n"
	  "scenario file. Exit status 0: nothing was found; 1: something was; 2: called wrongly." },
	{ "replay", "olist DIR", "Writes real orders into an empty shop as they happened.",
	  replay_command,
	  "DIR holds the files that import reads. The orders are run through the rules in memory,\n"
	  "each step at its original time, and the log that follows from them is written in bulk\n"
	  "into topics without events: entry ids and read model have the times of then, and no\n"
	  "service reacts to them again. Then shop and files are compared, and the log is\n"
	  "held against the invariants. Exit status 1 on a difference or a violation.\n\n"
	  "What was interrupted goes on when the same command is given again; until then its\n"
	  "topics are locked. --abandon forgets it and unlocks them." },
	{ "generate", "", "Writes a long history of made-up orders into an empty shop.",
	  generate_command,
	  "The orders are like the real ones of replay in number: items, prices, freight, hours,\n"
	  "months, the time between the steps, how many end in which state. They are run through\n"
	  "the rules as replay does it; however many, they are placed from October 2016 to August\n"
	  "2018. "
	  "The same number and seed give the same log, byte for byte. Memory follows the orders\n"
	  "that are under way at a time: 170 MiB for a million. ordershop verify holds the log\n"
	  "against the invariants.\n\n"
	  "--out writes that log into a file, without a shop; for the hash at its end it keeps\n"
	  "the last state of every entity in memory.\n\n"
	  "What was interrupted goes on when the same command is given again; until then its\n"
	  "topics are locked. --abandon forgets it and unlocks them." },
	{ "bench", "", "Measures this build on this machine and prints a table.", bench_command,
	  NULL },
};

static void print_usage(FILE *out)
{
	fprintf(out, "usage: ordershop COMMAND [ARGUMENTS] [OPTIONS]\n\n");
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		fprintf(out, "  %-9s %-14s %s\n", commands[i].name, commands[i].arguments,
		        commands[i].summary);
	fprintf(out, "\nordershop COMMAND --help explains one; ordershop --version.\n");
}

static int unknown_command(const char *word)
{
	const char *names[ARRAY_LEN(commands)];
	char hint[HINT_SIZE];

	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		names[i] = commands[i].name;
	if (word[0] == '-') {
		fprintf(stderr,
		        "ordershop: options come after the command, as in ordershop run %s\n",
		        word);
		return EXIT_USAGE;
	}
	closest_hint(hint, word, names, ARRAY_LEN(names));
	fprintf(stderr, "ordershop: there is no command '%s'%s\n", word,
	        *hint ? hint : "; see ordershop --help");
	return EXIT_USAGE;
}

static int run_named(int argc, char **argv)
{
	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		if (strcmp(argv[0], commands[i].name) == 0)
			return commands[i].run(&commands[i], argc, argv);
	}
	return unknown_command(argv[0]);
}

int main(int argc, char **argv)
{
	static char ask[] = "--help";

	signal(SIGPIPE, SIG_IGN);
	if (argc < 2) {
		print_usage(stderr);
		return EXIT_USAGE;
	}
	if (strcmp(argv[1], "help") == 0 && argc == 3)
		return run_named(2, (char *[]){ argv[2], ask, NULL });
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
	    strcmp(argv[1], "help") == 0) {
		print_usage(stdout);
		return EXIT_OK;
	}
	if (strcmp(argv[1], "--version") == 0) {
		printf("ordershop %s\n", ORDERSHOP_VERSION);
		return EXIT_OK;
	}
	return run_named(argc - 1, argv + 1);
}
