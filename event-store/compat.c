/* The service eventstore.EventStore, for clients of the original shop. */
#include "event-store/service_internal.h"

#include "proto/eventstore.pb-c.h"

void compat_add(struct event_store *store)
{
	(void)store;
}
