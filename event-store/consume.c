/* The method Consume: a member of a persistent group. */
#include "event-store/service_internal.h"

#include <stdlib.h>
#include <string.h>

enum { MESSAGE_BYTES = 1024 * 1024 };

struct consumer {
	struct watch watch;
	struct rpc_call *call;
	struct group_member *member;
};

static void send_some(struct rpc_call *call, struct event *const *events,
                      const struct group_attempt *attempts, size_t count)
{
	Es__Delivery *deliveries = calloc(count, sizeof(*deliveries));
	Es__Delivery **pointers = calloc(count, sizeof(*pointers));
	ASSERT(deliveries != NULL && pointers != NULL);
	for (size_t i = 0; i < count; i++) {
		es__delivery__init(&deliveries[i]);
		deliveries[i].event = &events[i]->message;
		deliveries[i].attempt = attempts[i].number;
		deliveries[i].redelivered = attempts[i].redelivered;
		pointers[i] = &deliveries[i];
	}
	Es__ConsumeResponse response = ES__CONSUME_RESPONSE__INIT;
	response.n_deliveries = count;
	response.deliveries = pointers;
	rpc_send(call, &response.base);
	free(pointers);
	free(deliveries);
}

static void deliver(void *arg, struct event *const *events, const struct group_attempt *attempts,
                    size_t count)
{
	struct consumer *consumer = arg;
	for (size_t first = 0, end; first < count; first = end) {
		size_t bytes = 0;
		for (end = first; end < count; end++) {
			bytes += events[end]->bytes;
			if (end > first && bytes > MESSAGE_BYTES)
				break;
		}
		send_some(consumer->call, events + first, attempts + first, end - first);
	}
}

static void failed(void *arg, const struct error *err)
{
	struct consumer *consumer = arg;
	rpc_finish(consumer->call, err);
}

static bool check_lease(const char *field, uint32_t lease_ms, struct error *err)
{
	if (lease_ms != 0 && (lease_ms < GROUP_LEASE_MIN_MS || lease_ms > GROUP_LEASE_MAX_MS))
		return error_set(err, ERR_INVALID, "%s: must be 0 or %d to %d, is %u", field,
		                 GROUP_LEASE_MIN_MS, GROUP_LEASE_MAX_MS, lease_ms);
	return true;
}

static bool check_start(const Es__ConsumeStart *start, struct error *err)
{
	enum { TYPES_MAX = 256 };
	if (start == NULL)
		return error_set(err, ERR_INVALID, "start: is needed in the first message");
	if (!name_check("start.topic", start->topic, err) ||
	    !name_check("start.group", start->group, err))
		return false;
	if (start->credits < 1 || start->credits > GROUP_CREDITS_MAX)
		return error_set(err, ERR_INVALID, "start.credits: must be 1 to %d, is %u",
		                 GROUP_CREDITS_MAX, start->credits);
	if (!check_lease("start.lease_ms", start->lease_ms, err))
		return false;
	if (start->start != ES__START__START_BEGINNING && start->start != ES__START__START_LIVE)
		return error_set(err, ERR_INVALID,
		                 "start.start: must be START_BEGINNING or START_LIVE");
	if (start->n_event_types > TYPES_MAX)
		return error_set(err, ERR_INVALID, "start.event_types: must be at most %d, are %zu",
		                 TYPES_MAX, start->n_event_types);
	return true;
}

static bool join(struct event_store *store, struct rpc_call *call, const Es__ConsumeStart *start,
                 struct error *err)
{
	static const struct group_events events = { deliver, failed };
	if (!check_start(start, err))
		return false;
	struct group_join join = {
		.topic = start->topic,
		.group = start->group,
		.live = start->start == ES__START__START_LIVE,
		.credits = start->credits,
		.lease_ms = start->lease_ms != 0 ? start->lease_ms : GROUP_LEASE_MS,
		.event_types = (const char *const *)start->event_types,
		.event_type_count = start->n_event_types,
	};
	struct consumer *consumer = calloc(1, sizeof(*consumer));
	ASSERT(consumer != NULL);
	consumer->call = call;
	rpc_set_data(call, consumer);
	watch_begin(&store->readers, &consumer->watch, call);
	consumer->member = groups_join(store->groups, &join, &events, consumer);
	return true;
}

static bool apply_nack(struct consumer *consumer, const Es__Nack *nack, struct error *err)
{
	struct entry_id id;
	const char *reason = nack->reason[0] != '\0' ? nack->reason : "no reason given";
	if (!entry_id_parse(nack->entry_id, &id, err))
		return error_wrap(err, "entry_id");
	if (nack->delay_ms > GROUP_DELAY_MAX_MS)
		return error_set(err, ERR_INVALID, "delay_ms: must be at most %d, is %u",
		                 GROUP_DELAY_MAX_MS, nack->delay_ms);
	switch (nack->action) {
	case ES__NACK_ACTION__NACK_RETRY:
		group_retry(consumer->member, id, reason, nack->delay_ms);
		return true;
	case ES__NACK_ACTION__NACK_PARK:
		group_park(consumer->member, id, reason);
		return true;
	case ES__NACK_ACTION__NACK_SKIP:
		group_ack(consumer->member, id);
		return true;
	default:
		return error_set(err, ERR_INVALID,
		                 "action: must be NACK_RETRY, NACK_PARK or NACK_SKIP, is %d",
		                 (int)nack->action);
	}
}

static bool settle(struct consumer *consumer, const Es__ConsumeRequest *message, struct error *err)
{
	struct entry_id id;
	for (size_t i = 0; i < message->n_acks; i++) {
		if (!entry_id_parse(message->acks[i], &id, err))
			return error_wrap(err, "acks[%zu]", i);
		group_ack(consumer->member, id);
	}
	for (size_t i = 0; i < message->n_nacks; i++) {
		if (!apply_nack(consumer, message->nacks[i], err))
			return error_wrap(err, "nacks[%zu]", i);
	}
	for (size_t i = 0; i < message->n_extensions; i++) {
		const Es__LeaseExtension *extension = message->extensions[i];
		if (!entry_id_parse(extension->entry_id, &id, err))
			return error_wrap(err, "extensions[%zu].entry_id", i);
		if (!check_lease("lease_ms", extension->lease_ms, err))
			return error_wrap(err, "extensions[%zu]", i);
		group_extend(consumer->member, id, extension->lease_ms);
	}
	return true;
}

void consume_message(void *ctx, struct rpc_call *call, const ProtobufCMessage *request)
{
	const Es__ConsumeRequest *message = (const Es__ConsumeRequest *)request;
	struct consumer *consumer = rpc_data(call);
	struct error err;
	if (rpc_ended(call))
		return;
	if (consumer == NULL && !join(ctx, call, message->start, &err))
		rpc_finish(call, &err);
	else if (consumer != NULL && message->start != NULL &&
	         !error_set(&err, ERR_INVALID, "start: belongs in the first message only"))
		rpc_finish(call, &err);
	else if (consumer != NULL && !settle(consumer, message, &err))
		rpc_finish(call, &err);
}

void consume_half_close(void *ctx, struct rpc_call *call)
{
	(void)ctx;
	rpc_finish(call, NULL);
}

void consume_ended(void *ctx, struct rpc_call *call)
{
	struct event_store *store = ctx;
	struct consumer *consumer = rpc_data(call);
	if (consumer == NULL)
		return;
	watch_end(&store->readers, &consumer->watch);
	group_leave(consumer->member);
	free(consumer);
}
