/* scenario_diff.h - expected beside actual, line by line. */
#ifndef ORDERSHOP_SCENARIO_DIFF_H
#define ORDERSHOP_SCENARIO_DIFF_H

#include "base/arena.h"
#include "base/buffer.h"

enum diff_mark {
	DIFF_SAME = ' ',
	DIFF_OTHER = '!',
	DIFF_MISSING = '<', /* only expected */
	DIFF_EXTRA = '>'    /* only there */
};

struct diff;

/* Lives in the arena. */
struct diff *diff_create(struct arena *arena);
/* Texts are copied. */
void diff_add(struct diff *diff, enum diff_mark mark, const char *expected, const char *actual);
/* Is there a line that is not DIFF_SAME? */
bool diff_differs(const struct diff *diff);
/* Two columns with a heading; each line after `indent` spaces. */
void diff_write(struct buffer *out, const struct diff *diff, unsigned indent);

/* Two lists beside each other so that as much as possible stands opposite to its match. */
struct diff_lists {
	size_t expected_count, actual_count;
	bool (*same)(void *arg, size_t expected, size_t actual);
	const char *(*show_expected)(void *arg, size_t index);
	const char *(*show_actual)(void *arg, size_t index);
	void *arg;
};
void diff_lists(struct diff *diff, const struct diff_lists *lists);

#endif
