/* data_folder.h - the folder of one shop: Redis's files, logs, sockets, and who runs on it.
 *
 *   DATA/redis/       the append-only files: the only thing that must be kept
 *   DATA/logs/        what each service says
 *   DATA/lock         held while a shop runs here, with the pid in it
 *   DATA/addresses    where the running shop listens, as `key: value` lines
 *   DATA/NAME.sock    its sockets; in a short folder below /tmp when DATA's path is too long for
 *                     the 107 characters of a socket's path */
#ifndef ORDERSHOP_DATA_FOLDER_H
#define ORDERSHOP_DATA_FOLDER_H

#include "base/error.h"

#include <limits.h>

struct data_folder {
	char path[PATH_MAX];    /* absolute */
	char sockets[PATH_MAX]; /* where the sockets are */
	bool own_sockets;       /* `sockets` is a folder of its own, to be removed */
	int lock_fd;
};

/* Makes the folder where it is missing, and takes its lock. ERR_EXISTS names the shop that
 * runs on it. Children inherit the lock, so that it ends with the last of them. */
MUST_USE bool data_folder_open(const char *path, struct data_folder *folder, struct error *err);
/* Removes addresses and sockets; gives the lock back. */
void data_folder_close(struct data_folder *folder);

/* DATA/NAME, or the socket NAME. The text must fit (PATH_MAX is the size of `out`). */
void data_folder_file(const struct data_folder *folder, const char *name, char *out);
void data_folder_socket(const struct data_folder *folder, const char *name, char *out);

/* ERR_UNAVAILABLE: that no shop runs on the folder, what else was tried (", and ..." or ""), and what to do. Always
 * returns false. */
bool data_folder_idle(const char *data, const char *tried, struct error *err);

/* One value of DATA/addresses. False when no shop has written one. */
bool data_folder_address(const char *data, const char *key, char *out, size_t size);

#endif
