/* fake_client.h - double of base/rpc_client: what the services say that a service is a client of. */
#ifndef TESTS_FUZZ_FAKE_CLIENT_H
#define TESTS_FUZZ_FAKE_CLIENT_H

#include "tests/fuzz/fuzz.h"

/* A step: a byte that chooses (2 bits what comes, 2 the channel, 4 the stream or call of it), and for
 * the kinds 0 and 1 a message. Kind 2 is a failure, kind 3 the end. */
void fake_client_step(struct fuzz_input *input);

#endif
