/* fuzz.h - what the harnesses share.
 *
 * A harness is one file with LLVMFuzzerTestOneInput. Linked with libFuzzer it looks for inputs that break
 * it (`make fuzz`); linked with replay.c it runs those of corpus/NAME, which `make test` does. What
 * a fuzzer has found becomes a file of the corpus. */
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

#include "base/error.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

/* The input as a file for what reads files; good until the next call. */
const char *fuzz_file(const uint8_t *bytes, size_t len);

/* Input that is taken bit by bit; zeros after its end. */
struct fuzz_input {
	const uint8_t *at, *end;
};
uint8_t fuzz_byte(struct fuzz_input *input);
/* A length of two bytes, then so many bytes, or what is left. */
const uint8_t *fuzz_bytes(struct fuzz_input *input, size_t *len);

/* A refusal must say what is wrong, in UTF-8. */
void fuzz_check_error(const struct error *err);

#endif
