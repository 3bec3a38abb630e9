/* scenario_then.h - shared by the files of `then` only. */
#ifndef ORDERSHOP_SCENARIO_THEN_H
#define ORDERSHOP_SCENARIO_THEN_H

#include "ordershop/scenario_match.h"
#include "ordershop/scenario_run.h"

struct names *then_names(const struct trial *trial);
/* A failure with the lines of the diff, if something differs. */
void then_report(struct trial *trial, int line, const char *what, const struct diff *diff);
/* Checks each of the list's expectations that `node` has. */
void then_check_list(struct trial *trial, const struct node *node, const char *what,
                     const struct match_list *list);
/* Is more expected of the items than what they are called? `member`: more of that; NULL: anything. */
bool then_looks_inside(const struct node *node, const char *member);

void then_queries(struct trial *trial, const struct node *queries);
void then_mails(struct trial *trial, const struct node *mails);
void then_parked(struct trial *trial, const struct node *parked);

#endif
