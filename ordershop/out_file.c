#include "ordershop/out_file.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

bool out_file_check(const char *path, struct error *err)
{
	const char *slash = strrchr(path, '/');
	int len = slash == path ? 1 : slash ? (int)(slash - path) : 0;
	char folder[PATH_MAX];
	struct stat about;

	if (*path == '\0')
		return error_set(err, ERR_INVALID, "a file without a name");
	if (stat(path, &about) == 0)
		return !S_ISDIR(about.st_mode) ||
		       error_set(err, ERR_INVALID, "%s is a folder; name a file in it", path);
	if (snprintf(folder, sizeof(folder), "%.*s", len, path) >= (int)sizeof(folder))
		return error_set(err, ERR_INVALID, "%.60s...: the path is too long", path);
	return len == 0 || (stat(folder, &about) == 0 && S_ISDIR(about.st_mode)) ||
	       error_set(err, ERR_INVALID, "cannot write %s: there is no folder %s; make it first",
	                 path, folder);
}

bool out_file_write(const char *path, const struct buffer *bytes, struct error *err)
{
	FILE *file;
	bool ok;

	if (bytes->overflow)
		return error_set(err, ERR_TOO_LARGE, "%s would be larger than %zu bytes", path,
		                 bytes->max);
	if (!out_file_check(path, err))
		return false;
	file = fopen(path, "we");
	ok = file && fwrite(bytes->bytes, 1, bytes->len, file) == bytes->len;
	if (file && fclose(file) != 0)
		ok = false;
	return ok || error_set(err, ERR_INTERNAL, "cannot write %s: %s", path, strerror(errno));
}
