/* probe.h - what a runner asks the log before a command ends without events.
 *
 * The command may have been delivered before, or another instance may be working on it, since its lease ended:
 * its events may be in the log, or still come. So a runner that would end without them has their ids given
 * up: what is not there by then never comes (EXPECT_NEVER in eventstore_v1.proto).
 *
 * Events of two topics are given up in the order in which they are appended. If the first part is there and
 * the second is not, the command is decided again: it may have to complete that. */
#ifndef DOMAIN_PROBE_H
#define DOMAIN_PROBE_H

#include "domain/decide.h"

enum probe {
	PROBE_NONE,
	PROBE_ASKED,          /* whether the events are there */
	PROBE_FIRST_GIVEN_UP, /* those of function->first_topic */
	PROBE_GIVEN_UP,
};

/* The next question, `asked` being the last one; PROBE_NONE: there is no other. `ends`: without events. */
enum probe probe_next(enum probe asked, const struct function *function, bool ends);
const char *probe_topic(enum probe probe, const struct service *service,
                        const struct function *function);

/* What a delivery is told whose events were given up by another one. False. */
bool probe_error(struct error *err);

#endif
