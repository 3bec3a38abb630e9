#include "ordershop/data_folder.h"
#include "base/clock.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { LOCK_WAIT_MS = 5000 };

static bool make_folder(const char *path, struct error *err)
{
	if (mkdir(path, 0750) < 0 && errno != EEXIST)
		return error_set(err, ERR_INVALID, "cannot make the folder %s: %s", path,
		                 strerror(errno));
	return true;
}

static long read_pid(int fd)
{
	char text[32] = "";

	if (pread(fd, text, sizeof(text) - 1, 0) <= 0)
		return 0;
	return strtol(text, NULL, 10);
}

/* A supervisor that was killed leaves its children dying for a moment; that is worth a wait. */
static bool take_lock(const char *path, int fd, struct error *err)
{
	uint64_t end = clock_monotonic_ms() + LOCK_WAIT_MS;

	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		long pid = read_pid(fd);
		bool lives = pid > 0 && (kill((pid_t)pid, 0) == 0 || errno == EPERM);

		if (lives || clock_monotonic_ms() > end)
			return error_set(err, ERR_EXISTS,
			                 "a shop runs on %s already (pid %ld); choose another "
			                 "folder with --data",
			                 path, pid);
		usleep(20000);
	}
	if (ftruncate(fd, 0) < 0 || dprintf(fd, "%ld\n", (long)getpid()) < 0)
		return error_set(err, ERR_INTERNAL, "cannot write the lock of %s: %s", path,
		                 strerror(errno));
	return true;
}

/* The longest name is "message-queue.sock". */
static bool place_sockets(struct data_folder *folder, struct error *err)
{
	const size_t longest = sizeof(((struct sockaddr_un *)0)->sun_path) - 1;

	if (strlen(folder->path) + strlen("/message-queue.sock") <= longest) {
		memcpy(folder->sockets, folder->path, sizeof(folder->sockets));
		return true;
	}
	memcpy(folder->sockets, "/tmp/ordershop-XXXXXX", sizeof("/tmp/ordershop-XXXXXX"));
	if (!mkdtemp(folder->sockets))
		return error_set(err, ERR_INTERNAL, "cannot make a folder below /tmp: %s",
		                 strerror(errno));
	folder->own_sockets = true;
	return true;
}

bool data_folder_open(const char *path, struct data_folder *folder, struct error *err)
{
	static const char *const inner[] = { "redis", "redis-model", "logs" };
	char file[PATH_MAX];

	*folder = (struct data_folder){ .lock_fd = -1 };
	if (!make_folder(path, err))
		return false;
	if (!realpath(path, folder->path) ||
	    strlen(folder->path) > PATH_MAX - 64) /* room for the names inside */
		return error_set(err, ERR_INVALID, "cannot use the folder %s: %s", path,
		                 strerror(errno ? errno : ENAMETOOLONG));
	for (size_t i = 0; i < ARRAY_LEN(inner); i++) {
		data_folder_file(folder, inner[i], file);
		if (!make_folder(file, err))
			return false;
	}
	data_folder_file(folder, "lock", file);
	folder->lock_fd = open(file, O_RDWR | O_CREAT, 0640);
	if (folder->lock_fd < 0)
		return error_set(err, ERR_INVALID, "cannot write in %s: %s", path, strerror(errno));
	if (!take_lock(path, folder->lock_fd, err) || !place_sockets(folder, err)) {
		close(folder->lock_fd);
		return false;
	}
	return true;
}

/* A service that was killed leaves its socket. */
static void remove_sockets(const char *folder)
{
	DIR *dir = opendir(folder);
	struct dirent *entry;

	while (dir && (entry = readdir(dir)))
		unlinkat(dirfd(dir), entry->d_name, 0);
	if (dir)
		closedir(dir);
	rmdir(folder);
}

void data_folder_close(struct data_folder *folder)
{
	char file[PATH_MAX];

	data_folder_file(folder, "addresses", file);
	unlink(file);
	if (folder->own_sockets)
		remove_sockets(folder->sockets);
	close(folder->lock_fd);
}

static void join(const char *folder, const char *name, char *out)
{
	int len = snprintf(out, PATH_MAX, "%s/%s", folder, name);

	ASSERT(len > 0 && len < PATH_MAX);
}

void data_folder_file(const struct data_folder *folder, const char *name, char *out)
{
	join(folder->path, name, out);
}

void data_folder_socket(const struct data_folder *folder, const char *name, char *out)
{
	char file[128];

	snprintf(file, sizeof(file), "%s.sock", name);
	join(folder->sockets, file, out);
}

bool data_folder_idle(const char *data, const char *tried, struct error *err)
{
	enum { SHOWN_MAX = 96 };
	char path[PATH_MAX], here[PATH_MAX] = "";
	const char *missing = "";

	if (!realpath(data, path)) {
		missing = errno == ENOENT ? "no such folder" : strerror(errno);
		bool relative = *data != '/' && getcwd(here, sizeof(here));
		size_t used = (size_t)snprintf(path, sizeof(path), "%s", here);

		snprintf(path + used, sizeof(path) - used, "%s%s", relative ? "/" : "", data);
	}
	size_t len = strlen(path), cut = len > SHOWN_MAX ? len - SHOWN_MAX : 0;
	return error_set(err, ERR_UNAVAILABLE,
	                 "no shop runs on %s%s%s%s%s%s; start one with ordershop run, or name its "
	                 "folder with --data",
	                 cut ? "..." : "", path + cut, *missing ? " (" : "", missing,
	                 *missing ? ")" : "", tried);
}

bool data_folder_address(const char *data, const char *key, char *out, size_t size)
{
	char path[PATH_MAX], line[PATH_MAX];
	size_t key_len = strlen(key);
	bool found = false;
	FILE *file;

	if (snprintf(path, sizeof(path), "%s/addresses", data) >= (int)sizeof(path))
		return false;
	file = fopen(path, "re");
	if (!file)
		return false;
	while (!found && fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = '\0';
		if (strncmp(line, key, key_len) == 0 && strncmp(line + key_len, ": ", 2) == 0 &&
		    strlen(line + key_len + 2) < size) {
			snprintf(out, size, "%s", line + key_len + 2);
			found = true;
		}
	}
	fclose(file);
	return found;
}
