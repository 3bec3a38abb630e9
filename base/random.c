#include "base/random.h"

uint64_t random_mix(uint64_t number)
{
	number = (number ^ number >> 30) * 0xBF58476D1CE4E5B9;
	number = (number ^ number >> 27) * 0x94D049BB133111EB;
	return number ^ number >> 31;
}

uint64_t random_next(uint64_t *state)
{
	return random_mix(*state += 0x9E3779B97F4A7C15);
}
