/* past_show.h - what writing a past into a shop and into a file have in common. */
#ifndef ORDERSHOP_PAST_SHOW_H
#define ORDERSHOP_PAST_SHOW_H

#include "ordershop/importer.h"
#include "ordershop/past.h"

/* past_run, which says on standard error how far it is, and in the end how much it was. */
MUST_USE bool past_show(const struct past_source *source, past_function *each, void *arg,
                        struct error *err);

/* A service has a group, of its own name, in each topic to whose events it reacts: those groups, at the end
 * of their topics. */
enum { PAST_GROUPS_MAX = 64 };
size_t past_groups(struct importer_group groups[PAST_GROUPS_MAX]);

#endif
