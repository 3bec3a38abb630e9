/* scenario_internal.h - shared by the files that read scenarios. */
#ifndef ORDERSHOP_SCENARIO_INTERNAL_H
#define ORDERSHOP_SCENARIO_INTERNAL_H

#include "ordershop/scenario.h"

struct reader {
	struct arena *arena;
	struct scenario *scenario; /* as far as it was read */
	struct error *err;
};

/* The index of the node's text among `names`; -1 after an error. */
int reader_word(struct reader *reader, const struct node *node, const char *const *names,
                size_t count);
MUST_USE bool reader_number(struct reader *reader, const struct node *node, int64_t min,
                            int64_t max, int64_t *out);
/* One line of 1 to 200 bytes. */
MUST_USE bool reader_title(struct reader *reader, const struct node *node, const char **out);
MUST_USE bool reader_name(struct reader *reader, const struct node *node);
MUST_USE bool reader_time(struct reader *reader, const struct node *node, uint64_t *us);
/* "90s": microseconds; 0: it is none. */
uint64_t reader_span(const char *text);
/* Everything below `then:`. */
MUST_USE bool reader_check_then(struct reader *reader, const struct node *then);

#endif
