/* services.h - what can be served, in one table. */
#ifndef ORDERSHOP_SERVICES_H
#define ORDERSHOP_SERVICES_H

#include "ordershop/command.h"

/* Stages are started from the lowest, and stopped from the highest. */
enum service_stage {
	STAGE_REDIS,
	STAGE_STORE,
	STAGE_QUEUE,
	STAGE_MODEL,
	STAGE_DOMAIN,
	STAGE_GATEWAY
};

struct service_info {
	const char *name;
	enum service_stage stage;
	const char *port_option;    /* of `ordershop run`; NULL: no public port */
	const char *default_listen; /* of `ordershop serve` */
};

enum { SERVICE_COUNT = 13 };
extern const struct service_info services[SERVICE_COUNT];

/* NULL: there is none of this name. */
const struct service_info *service_find(const char *name);
/* "; did you mean 'NAME'?" of the one most like it, or "". */
const char *service_hint(char hint[HINT_SIZE], const char *name);

#endif
