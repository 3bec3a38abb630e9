/* clock.h - the two clocks. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

uint64_t clock_wall_us(void);      /* microseconds since the epoch; may jump */
uint64_t clock_monotonic_us(void); /* for durations and deadlines; never goes back */
static inline uint64_t clock_monotonic_ms(void)
{
	return clock_monotonic_us() / 1000;
}

#endif
