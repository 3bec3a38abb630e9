#include "domain/probe.h"

enum probe probe_next(enum probe asked, const struct function *function, bool ends)
{
	if (!ends)
		return asked == PROBE_NONE ? PROBE_ASKED : PROBE_NONE;
	if (asked < PROBE_FIRST_GIVEN_UP && function->first_topic != NULL)
		return PROBE_FIRST_GIVEN_UP;
	return asked < PROBE_GIVEN_UP ? PROBE_GIVEN_UP : PROBE_NONE;
}

const char *probe_topic(enum probe probe, const struct service *service,
                        const struct function *function)
{
	return probe == PROBE_FIRST_GIVEN_UP ? function->first_topic : service->topic;
}

bool probe_error(struct error *err)
{
	return error_set(
	    err, ERR_PRECONDITION,
	    "another delivery of this message changed nothing: send it again with a new id");
}
