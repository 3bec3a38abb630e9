/* memory_shop_internal.h - shared by the memory_shop*.c files only. */
#ifndef DOMAIN_MEMORY_SHOP_INTERNAL_H
#define DOMAIN_MEMORY_SHOP_INTERNAL_H

#include "domain/memory_shop.h"

#include "base/id.h"

struct record {
	char *key; /* topic/id */
	const char *topic;
	char *id;
	uint64_t version;
	char *json; /* NULL: deleted */
	UT_hash_handle hh;
};

struct logged {
	char event_id[UUID_SIZE];
	const char *type, *action, *topic;
	char *entity_id;
	char *json;
	uint64_t version;
	struct logged *next, *prev;
	UT_hash_handle hh; /* by event id */
};

/* One event on its way through one saga. */
struct reaction {
	const struct saga *saga;
	struct arena *arena;
	struct context context;
	struct event event;
	struct json *replies[2000];
	size_t reply_count;
	bool busy; /* it waits for a command that is running */
	struct reaction *next, *prev;
};

struct memory_shop {
	struct arena *arena;
	struct record *records;
	struct logged *log;
	struct logged *by_id;
	struct reaction *reactions;
	size_t reaction_count;
	bool redeliver;
	bool crash;
	void (*meanwhile)(void *arg);
	void *meanwhile_arg;
	unsigned seed;
	uint64_t message_count;
};

/* Made when it is new. */
struct record *shop_record(struct memory_shop *shop, const char *topic, const char *id);
ProtobufCMessage *shop_parse_state(struct arena *arena, const char *topic, const char *text);
bool shop_known_event(struct memory_shop *shop, const char *event_id);
struct event shop_event(struct arena *arena, const struct logged *logged);

#endif
