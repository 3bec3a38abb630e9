#include "ordershop/scenario_diff.h"

#include <stdlib.h>
#include <string.h>

enum { COLUMN_MAX = 60, HEADING = 8, CELLS_MAX = 1 << 22 };

struct line {
	enum diff_mark mark;
	const char *expected, *actual;
	struct line *next;
};

struct diff {
	struct arena *arena;
	struct line *first, **last;
	bool differs;
};

struct diff *diff_create(struct arena *arena)
{
	struct diff *diff = arena_zalloc(arena, sizeof(*diff));
	diff->arena = arena;
	diff->last = &diff->first;
	return diff;
}

void diff_add(struct diff *diff, enum diff_mark mark, const char *expected, const char *actual)
{
	struct line *line = arena_zalloc(diff->arena, sizeof(*line));
	line->mark = mark;
	line->expected = arena_strdup(diff->arena, expected);
	line->actual = arena_strdup(diff->arena, actual);
	*diff->last = line;
	diff->last = &line->next;
	diff->differs = diff->differs || mark != DIFF_SAME;
}

bool diff_differs(const struct diff *diff)
{
	return diff->differs;
}

/* Characters, not bytes, so that the columns stand. */
static size_t width_of(const char *text)
{
	size_t width = 0;
	for (; *text != '\0'; text++)
		width += ((unsigned char)*text & 0xC0) != 0x80;
	return width;
}

static void write_line(struct buffer *out, unsigned indent, size_t width, char mark,
                       const char *expected, const char *actual)
{
	size_t used = width_of(expected);
	buffer_printf(out, "%*s%c %s", (int)indent, "", mark, expected);
	if (actual[0] != '\0')
		buffer_printf(out, "%*s | %s", (int)(used < width ? width - used : 0), "", actual);
	buffer_putc(out, '\n');
}

void diff_write(struct buffer *out, const struct diff *diff, unsigned indent)
{
	size_t width = HEADING;
	for (const struct line *line = diff->first; line != NULL; line = line->next) {
		size_t needed = width_of(line->expected);
		if (needed > width)
			width = needed < COLUMN_MAX ? needed : COLUMN_MAX;
	}
	write_line(out, indent, width, ' ', "expected", "actual");
	for (const struct line *line = diff->first; line != NULL; line = line->next)
		write_line(out, indent, width, (char)line->mark, line->expected, line->actual);
}

/* ---- Two lists --------------------------------------------------------------------------- */

/* The longest common subsequence: length[i * columns + j] of what comes from i and j on. */
static unsigned *common_lengths(struct diff *diff, const struct diff_lists *lists)
{
	size_t columns = lists->actual_count + 1;
	unsigned *length =
	    arena_zalloc(diff->arena, (lists->expected_count + 1) * columns * sizeof(*length));
	for (size_t i = lists->expected_count; i-- > 0;) {
		for (size_t j = lists->actual_count; j-- > 0;) {
			unsigned *here = &length[i * columns + j];
			unsigned below = here[columns], beside = here[1];
			*here = below > beside ? below : beside;
			if (lists->same(lists->arg, i, j) && here[columns + 1] + 1 > *here)
				*here = here[columns + 1] + 1;
		}
	}
	return length;
}

/* Expected ones that are missing beside actual ones that are too many. */
static void add_gap(struct diff *diff, const struct diff_lists *lists, size_t i, size_t i_end,
                    size_t j, size_t j_end)
{
	while (i < i_end || j < j_end) {
		bool missing = i < i_end, extra = j < j_end;
		const char *expected = missing ? lists->show_expected(lists->arg, i++) : "";
		const char *actual = extra ? lists->show_actual(lists->arg, j++) : "";
		diff_add(diff,
		         missing && extra ? DIFF_OTHER
		         : missing        ? DIFF_MISSING
		                          : DIFF_EXTRA,
		         expected, actual);
	}
}

void diff_lists(struct diff *diff, const struct diff_lists *lists)
{
	size_t columns = lists->actual_count + 1;
	size_t i = 0, j = 0, gap_i = 0, gap_j = 0;
	if (lists->expected_count * columns > CELLS_MAX) { /* too long to look for matches */
		add_gap(diff, lists, 0, lists->expected_count, 0, lists->actual_count);
		return;
	}
	const unsigned *length = common_lengths(diff, lists);
	while (i < lists->expected_count && j < lists->actual_count) {
		const unsigned *here = &length[i * columns + j];
		if (*here == here[columns + 1] + 1 && lists->same(lists->arg, i, j)) {
			add_gap(diff, lists, gap_i, i, gap_j, j);
			diff_add(diff, DIFF_SAME, lists->show_expected(lists->arg, i),
			         lists->show_actual(lists->arg, j));
			gap_i = ++i;
			gap_j = ++j;
		} else if (here[columns] >= here[1]) {
			i++;
		} else {
			j++;
		}
	}
	add_gap(diff, lists, gap_i, lists->expected_count, gap_j, lists->actual_count);
}
