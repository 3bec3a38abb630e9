/* targets.h - where the three infrastructure services are, for everything that calls them.
 *
 * A target is, in this order: the option (flag, ORDERSHOP_EVENT_STORE, file), what a running shop
 * wrote into the data folder, EVENT_STORE_HOSTNAME and EVENT_STORE_PORTNR as existing services have
 * them, the data folder's own socket if the folder was named (nobody is there: better than another shop),
 * 127.0.0.1 with the usual port. */
#ifndef ORDERSHOP_TARGETS_H
#define ORDERSHOP_TARGETS_H

#include "base/config.h"

enum target { TARGET_EVENT_STORE, TARGET_MESSAGE_QUEUE, TARGET_READ_MODEL, TARGETS };

enum target_origin {
	ORIGIN_OPTION,
	ORIGIN_ADDRESSES, /* of the data folder */
	ORIGIN_ENVIRONMENT,
	ORIGIN_NAMED_FOLDER, /* without addresses in it */
	ORIGIN_USUAL_PORT
};

/* The rows for a command's table of options. */
#define TARGET_OPTIONS                                                                             \
	{ .name = "event_store",                                                                   \
	  .placeholder = "TARGET",                                                                 \
	  .help = "host:port or unix:/path of the event store" },                                  \
	    { .name = "message_queue",                                                             \
	      .placeholder = "TARGET",                                                             \
	      .help = "host:port or unix:/path of the message queue" },                            \
	{                                                                                          \
		.name = "read_model", .placeholder = "TARGET",                                     \
		.help = "host:port or unix:/path of the read model"                                \
	}

/* The same, for commands that speak to a running shop. */
#define SHOP_OPTIONS                                                                               \
	{ .name = "data",                                                                          \
	  .placeholder = "DIR",                                                                    \
	  .help = "data folder of the running shop",                                               \
	  .fallback = "data" },                                                                    \
	    TARGET_OPTIONS

/* `data` NULL: no folder is looked at. The text lives as long as the process. `origin` may be NULL. */
const char *target_find(const struct config_option *options, size_t count, enum target target,
                        const char *data, enum target_origin *origin);

#endif
