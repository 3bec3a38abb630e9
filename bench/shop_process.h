/* shop_process.h - the shop that is measured: `ordershop run` in a temporary folder, with free
 * ports, as a child of the benchmark. */
#ifndef BENCH_SHOP_PROCESS_H
#define BENCH_SHOP_PROCESS_H

#include "base/error.h"

#include <sys/types.h>

struct shop_process {
	pid_t pid; /* of the supervisor */
	char folder[64];
	int rest_port, store_port, queue_port, model_port;
};

/* Forks: before grpc_init. Returns when the shop is ready. */
MUST_USE bool shop_process_start(struct shop_process *shop, struct error *err);
void shop_process_stop(struct shop_process *shop); /* and removes the folder */
/* Stops or starts one service under the running shop ("stop", "read-model"). */
MUST_USE bool shop_process_control(const struct shop_process *shop, const char *verb,
                                   const char *service, struct error *err);
/* Runs a command of this executable to its end; `line` gets the last line of what it tells that has `words` in it.
 * An error carries what it told last. */
MUST_USE bool shop_process_run(const char *const *argv, const char *words, char line[256],
                               struct error *err);
/* Resident memory of the supervisor and all services, without redis-server. */
double shop_process_memory_mib(const struct shop_process *shop);

#endif
