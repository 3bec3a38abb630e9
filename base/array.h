/* array.h - arrays that grow by doubling. */
#ifndef BASE_ARRAY_H
#define BASE_ARRAY_H

#include "base/error.h"

#include <stdlib.h>

/* Room for one more element behind `count`; the array (NULL when empty) was grown by this alone. */
static inline void *array_grown(void *array, size_t count, size_t size)
{
	if ((count & (count - 1)) == 0) {
		array = realloc(array, (count == 0 ? 1 : 2 * count) * size);
		ASSERT(array != NULL);
	}
	return array;
}

#endif
