#include "tests/fuzz/fuzz.h"
#include "base/json.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

const char *fuzz_file(const uint8_t *bytes, size_t len)
{
	static int fd = -1;
	static char path[32];
	if (fd < 0) {
		fd = memfd_create("fuzz", MFD_CLOEXEC);
		ASSERT(fd >= 0);
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	}
	ASSERT(ftruncate(fd, 0) == 0);
	ASSERT(pwrite(fd, bytes, len, 0) == (ssize_t)len);
	return path;
}

uint8_t fuzz_byte(struct fuzz_input *input)
{
	return input->at < input->end ? *input->at++ : 0;
}

const uint8_t *fuzz_bytes(struct fuzz_input *input, size_t *len)
{
	size_t wanted = (size_t)fuzz_byte(input) << 8;
	wanted |= fuzz_byte(input);
	size_t left = (size_t)(input->end - input->at);
	const uint8_t *bytes = input->at;
	*len = wanted < left ? wanted : left;
	input->at += *len;
	return bytes;
}

void fuzz_check_error(const struct error *err)
{
	ASSERT(err->code > ERR_NONE && err->code < ERR_CODES);
	ASSERT(err->message[0] != '\0');
	ASSERT(utf8_valid(err->message, strlen(err->message)));
}
