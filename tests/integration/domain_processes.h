/* domain_processes.h - a shop without a gateway for one test: a Redis, the three services and the
 * domain services, each a process. */
#ifndef TESTS_DOMAIN_PROCESSES_H
#define TESTS_DOMAIN_PROCESSES_H

#include "base/error.h"

/* Where they listen. */
struct process_addresses {
	char store[128], queue[128], model[128];
};
extern struct process_addresses addresses;

/* First in main: true when this process is one of the services, which has ended now. */
bool process_main(int argc, char **argv);

/* Fixture of a Check case. */
void processes_setup(void);
void processes_teardown(void);

/* `name` as in `ordershop serve`; it must be a literal. */
void process_start(const char *name);
/* Ends it as the supervisor does; false unless it ends well. */
bool process_stop(const char *name);
void process_kill(const char *name);

#endif
