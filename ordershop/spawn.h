/* spawn.h - one child process of the supervisor. */
#ifndef ORDERSHOP_SPAWN_H
#define ORDERSHOP_SPAWN_H

#include "ordershop/supervisor.h"

#include <signal.h>

/* Starts it with its output in LOG_FOLDER/NAME.log, `signals` as its mask, in a process group of its
 * own, killed when this thread dies. *ready_fd: where its ready byte can be read, without blocking.
 * -1: errno says why. */
pid_t spawn_process(const struct process_spec *spec, const char *log_folder,
                    const sigset_t *signals, int *ready_fd);
/* The last line in its log, of a log line only the error or reason; "" when there is none. */
void spawn_last_words(const struct process_spec *spec, const char *log_folder, char *out,
                      size_t size);

#endif
