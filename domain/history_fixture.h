/* history_fixture.h - for tests: the history of one order, and logs that are made of it. */
#ifndef DOMAIN_HISTORY_FIXTURE_H
#define DOMAIN_HISTORY_FIXTURE_H

#include "domain/invariants.h"

/* A UUID. */
#define SPACE "6ba7b810-9dad-11d1-80b4-00c04fd430c8"

/* $C, $P, ... are ids: of the customer, product, inventory I, cart K, order O, billing B, shipping S, or of
 * nothing. */
struct line {
	const char *topic, *type, *action, *id, *data;
	/* What a test gets wrong; else they follow from the place. */
	const char *event_id, *entry_id;
	uint64_t version;
};

#define ORDER(status, held)                                                                        \
	"{\"entity_id\":\"$O\",\"cart_id\":\"$K\",\"status\":\"" status                            \
	"\",\"customer_id\":\"$C\",\"items\":[{\"product_id\":\"$P\",\"quantity\":2,"              \
	"\"price\":500}],\"shipping_fee\":7,\"total\":1007,\"stock_held\":" held "}"
#define CART(order)                                                                                \
	"{\"entity_id\":\"$K\",\"customer_id\":\"$C\",\"product_ids\":[\"$P\",\"$P\"],"            \
	"\"order_id\":\"" order "\"}"
#define STOCK(amount)    "{\"entity_id\":\"$I\",\"product_id\":\"$P\",\"amount\":" amount "}"
#define BILLING(more)    "{\"entity_id\":\"$B\",\"order_id\":\"$O\"," more "}"
#define SHIPPING(more)   "{\"entity_id\":\"$S\",\"order_id\":\"$O\"," more "}"
#define CUSTOMER         "{\"entity_id\":\"$C\",\"name\":\"Ada\",\"email\":\"ada@example.com\"}"
#define PRODUCT(price)   "{\"entity_id\":\"$P\",\"name\":\"Lamp\",\"price\":" price "}"
#define CREATED(t, what) .topic = t, .type = what, .action = ENTITY_CREATED
#define UPDATED(t, what) .topic = t, .type = what, .action = ENTITY_UPDATED

/* Places in the history, to say how much of it comes before what a test adds. */
enum {
	NOTHING,
	HAS_STOCK = 3,
	CHECKED_OUT = 5,
	PLACED,
	RESERVED,
	IN_STOCK,
	BILLED,
	SHIPPED = 12,
	DELIVERED = 14,
	ALL
};
extern const struct line history[];

struct log {
	struct arena *arena;
	struct invariants *all;
	size_t count;
	uint64_t start_ms; /* of the first event; one event each millisecond */
	size_t violations;
	const char *expected; /* invariant; the test fails with a violation of another */
};

void log_open(struct log *log, const char *expected);
void log_close(struct log *log);
void log_add(struct log *log, const struct line *line);
/* The first `count` lines of the history. */
void log_add_history(struct log *log, size_t count);
/* What crm would have mailed for them, but for events of type `skip` (NULL: none). */
void log_add_mails(struct log *log, size_t count, const char *skip);

void history_id(char letter, char id[UUID_SIZE]);
/* Ids filled in. */
const char *history_text(struct arena *arena, const char *text);

#endif
