/* redis_process.h - the private redis-servers of a data folder. */
#ifndef ORDERSHOP_REDIS_PROCESS_H
#define ORDERSHOP_REDIS_PROCESS_H

#include "base/error.h"

enum { REDIS_ARGUMENTS = 32 };

enum redis_keeps {
	REDIS_KEEPS_ALL,      /* what it acknowledges is on disk */
	REDIS_KEEPS_SNAPSHOTS /* of every five minutes, and of its end: what can be made again */
};

/* Fills argv (of REDIS_ARGUMENTS) for a server that listens only on the socket and keeps its files in
 * `folder`. The texts must outlive argv. */
void redis_process_arguments(const char *folder, const char *socket_path, enum redis_keeps keeps,
                             const char **argv);

/* Does it answer PING on this socket (a const char *)? While it loads its files it does not. */
bool redis_process_ready(void *socket_path);

#endif
