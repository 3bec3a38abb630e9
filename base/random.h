/* random.h - numbers that follow from a seed, the same on every machine (splitmix64). Not for secrets. */
#ifndef BASE_RANDOM_H
#define BASE_RANDOM_H

#include <stdint.h>

/* The next number; `*state` begins as the seed. */
uint64_t random_next(uint64_t *state);
/* The bits of `number` mixed: what is drawn for it, whatever was drawn before. */
uint64_t random_mix(uint64_t number);

#endif
