/* Runs a harness on the files of the folders that are given. */
#include "tests/fuzz/fuzz.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>

static unsigned count;

static int run_file(const char *path, const struct stat *info, int kind, struct FTW *where)
{
	(void)where;
	if (kind != FTW_F)
		return 0;
	FILE *file = fopen(path, "re");
	size_t size = (size_t)info->st_size;
	/* Of exactly this size, so that a sanitizer sees what reads past its end. */
	uint8_t *bytes = malloc(size > 0 ? size : 1);
	ASSERT(file != NULL && bytes != NULL && fread(bytes, 1, size, file) == size);
	fclose(file);
	printf("%s\n", path);
	fflush(stdout);
	LLVMFuzzerTestOneInput(bytes, size);
	free(bytes);
	count++;
	return 0;
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (nftw(argv[i], run_file, 8, 0) != 0)
			perror(argv[i]);
	}
	printf("%u inputs\n", count);
	return count > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
