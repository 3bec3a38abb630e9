/* fake_shop.h - the three services that the gateway talks to, as far as its test needs them: one
 * server, on the same loop, that answers from fixed data and remembers what it was asked. */
#ifndef GATEWAY_FAKE_SHOP_H
#define GATEWAY_FAKE_SHOP_H

#include "base/loop.h"

#include <stdatomic.h>

#define FAKE_ID      "8a55c38b-0b0f-4f5e-8a55-c38b9e6f30c1"
#define FAKE_MISSING "00000000-0b0f-4f5e-8a55-c38b9e6f30c1"

enum { FAKE_TEXT = 4096 };

struct fake_shop {
	struct rpc_server *server;
	char target[64];
	/* The last command. */
	char service[64], function[64], message_id[64], payload[FAKE_TEXT];
	bool send_only;
	/* The last query: its tokens as "topic=entry_id ". */
	char tokens[FAKE_TEXT];
	/* The last subscription: "live", or the position after which. */
	char subscribed[128];
	/* The data of three more events that are read; NULL: there are none. */
	const char *large;
	struct rpc_call *subscriber;
	unsigned subscriptions;
	/* Nobody takes commands. */
	atomic_bool untaken;
};

void fake_shop_start(struct fake_shop *shop, struct loop *loop);
void fake_shop_destroy(struct fake_shop *shop);
/* An event of topic "customer" to the subscriber. */
void fake_shop_event(struct fake_shop *shop, const char *entry_id, const char *data);
/* Ends the subscription. */
void fake_shop_drop(struct fake_shop *shop);

#endif
