/* redis_fixture.h - a private redis-server for one test.
 *
 * Lives in a folder of its own under /tmp, listens on a unix socket there and nowhere else. It dies
 * with the test process, whatever ends that. A failure to start aborts the test. */
#ifndef TESTS_SUPPORT_REDIS_FIXTURE_H
#define TESTS_SUPPORT_REDIS_FIXTURE_H

#include <stdbool.h>
#include <sys/types.h>

enum redis_fixture_disk {
	REDIS_FIXTURE_MEMORY, /* nothing survives */
	REDIS_FIXTURE_ALWAYS  /* append-only file, synced before each answer, as in the shop */
};

struct redis_fixture {
	enum redis_fixture_disk disk;
	pid_t pid; /* 0: not running */
	char folder[64];
	char socket[80];
	char url[96]; /* unix:///... */
};

void redis_fixture_start(struct redis_fixture *fixture, enum redis_fixture_disk disk);
/* Starts `fixture` as a replica of a server that runs (which then listens on a port of loopback too), and
 * waits until it follows. */
void redis_fixture_start_replica(struct redis_fixture *fixture, struct redis_fixture *master);
/* Ends the server and removes the folder. */
void redis_fixture_destroy(struct redis_fixture *fixture);

void redis_fixture_stop(struct redis_fixture *fixture); /* SIGTERM, waits for its end */
void redis_fixture_kill(struct redis_fixture *fixture); /* SIGKILL, waits for its end */
/* Starts again on the same folder; waits until it answers. */
void redis_fixture_restart(struct redis_fixture *fixture);
void redis_fixture_freeze(struct redis_fixture *fixture); /* SIGSTOP */
void redis_fixture_thaw(struct redis_fixture *fixture);

/* Runs one command on a connection of its own and returns the answer as text, to be freed:
 * arrays as their elements, one per line. For looking from the side. */
char *redis_fixture_command(struct redis_fixture *fixture, const char *const *argv, int argc);

#endif
