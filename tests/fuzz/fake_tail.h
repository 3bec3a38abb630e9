/* fake_tail.h - the step of the event store's harness: what its tail reads. */
#ifndef TESTS_FUZZ_FAKE_TAIL_H
#define TESTS_FUZZ_FAKE_TAIL_H

#include "tests/fuzz/fuzz.h"

void fake_tail_step(struct fuzz_input *input);

#endif
