/* redis_process.h - the private redis-server of a data folder. */
#ifndef ORDERSHOP_REDIS_PROCESS_H
#define ORDERSHOP_REDIS_PROCESS_H

#include "base/error.h"

enum { REDIS_ARGUMENTS = 32 };

/* Fills argv (of REDIS_ARGUMENTS) for a server that listens only on the socket, keeps its files in
 * `folder` and has every acknowledged write on disk. The texts must outlive argv. */
void redis_process_arguments(const char *folder, const char *socket_path, const char **argv);

/* Does it answer PING on this socket (a const char *)? While it loads its files it does not. */
bool redis_process_ready(void *socket_path);

#endif
