/* The method Read: what stands in the log when the call starts, of one topic or several merged. */
#include "event-store/service_internal.h"

#include "event-store/reader.h"

#include <stdlib.h>
#include <string.h>

enum {
	UNREAD_BYTES = 1024 * 1024,
	MESSAGE_BYTES = 1024 * 1024,
	TOPICS_MAX = 256,
	AHEAD_MS = 1000 /* ids further ahead of the clock are not waited for */
};

struct read {
	struct watch watch;
	struct event_store *store;
	struct rpc_call *call; /* NULL: ended */
	const Es__ReadRequest *request;
	struct entry_id after;
	char **topics;
	size_t topic_count;
	size_t asked;
	struct entry_id last; /* of all topics */
	bool failed;
	struct reader *reader;
	bool reading;
	uint64_t sent;
};

static void read_free(struct read *read)
{
	for (size_t i = 0; i < read->topic_count; i++)
		free(read->topics[i]);
	free(read->topics);
	free(read);
}

/* One answer less to come. False: the call has ended, or fails with this. */
static bool answered(struct read *read, const struct error *err)
{
	read->asked--;
	if (read->call == NULL) {
		if (read->asked == 0)
			read_free(read);
		return false;
	}
	if (err != NULL && !read->failed) {
		read->failed = true;
		rpc_finish(read->call, err);
	}
	return !read->failed;
}

static void pump(struct read *read);

/* Sends the slice, up to the limit; true: the limit is reached. */
static bool send_slice(struct read *read, const struct event_slice *slice)
{
	uint64_t limit = read->request->limit;
	size_t count = slice->count;
	if (limit > 0 && count > limit - read->sent)
		count = (size_t)(limit - read->sent);
	Es__Event **events = malloc((count + 1) * sizeof(*events));
	ASSERT(events != NULL);
	for (size_t first = 0, end; first < count; first = end) {
		size_t bytes = 0;
		for (end = first; end < count; end++) {
			bytes += slice->events[end]->bytes;
			if (end > first && bytes > MESSAGE_BYTES)
				break;
			events[end - first] = &slice->events[end]->message;
		}
		Es__ReadResponse response = ES__READ_RESPONSE__INIT;
		response.events = events;
		response.n_events = end - first;
		rpc_send(read->call, &response.base);
	}
	free(events);
	read->sent += count;
	return limit > 0 && read->sent >= limit;
}

static void got_slice(void *arg, struct event_slice *slice, const struct error *err)
{
	struct read *read = arg;
	read->reading = false;
	if (err != NULL || slice == NULL) {
		rpc_finish(read->call, err);
		return;
	}
	bool full = send_slice(read, slice);
	event_slice_unref(slice);
	if (full)
		rpc_finish(read->call, NULL);
}

static void pump(struct read *read)
{
	while (read->reader != NULL && !read->reading && !rpc_ended(read->call) &&
	       rpc_queued_bytes(read->call) < UNREAD_BYTES) {
		read->reading = true;
		reader_next(read->reader, got_slice, read);
		if (read->reading)
			return; /* got_slice comes later, and `drained` after it */
	}
}

static void start_reader(struct read *read)
{
	const Es__ReadRequest *request = read->request;
	read->reader = reader_create(read->store->store, request->backward);
	for (size_t i = 0; i < read->topic_count; i++) {
		struct store_range range = { .from = ENTRY_ID_FIRST, .to = read->last };
		if (request->from_time_ms > 0 && !request->backward)
			range.from.ms = request->from_time_ms;
		if (request->from_time_ms > 0 && request->backward &&
		    request->from_time_ms < range.to.ms)
			range.to = (struct entry_id){ request->from_time_ms, UINT64_MAX };
		if (request->after != NULL)
			reader_after(&range, read->topics[i], read->after, request->after->topic,
			             request->backward);
		reader_add(read->reader, read->topics[i], &range);
	}
	pump(read);
}

/* Several topics: what stands in the log now is in its final order when the clock has passed it. */
static void got_time(void *arg, struct entry_id closed, const struct error *err)
{
	struct read *read = arg;
	if (!answered(read, err))
		return;
	if (entry_id_compare(read->last, closed) > 0 && read->last.ms < closed.ms + AHEAD_MS) {
		read->asked++;
		store_time(read->store->store, got_time, read);
	} else {
		start_reader(read);
	}
}

static void got_last(void *arg, const struct redis_value *value, const struct error *err)
{
	struct read *read = arg;
	struct entry_id id;
	struct error wrong, ignored;
	size_t len;
	if (!answered(read, redis_check(value, "[(sa)]", err, &wrong) ? NULL : &wrong))
		return;
	const char *text = redis_value_string(redis_value_at(redis_value_at(value, 0), 0), &len);
	if (len > 0 && entry_id_parse(text, &id, &ignored) && entry_id_compare(id, read->last) > 0)
		read->last = id;
	if (read->asked > 0)
		return;
	if (read->topic_count > 1) {
		read->asked++;
		store_time(read->store->store, got_time, read);
	} else {
		start_reader(read);
	}
}

static void ask_lasts(struct read *read)
{
	if (read->topic_count == 0) {
		rpc_finish(read->call, NULL);
		return;
	}
	for (size_t i = 0; i < read->topic_count; i++) {
		read->asked++;
		store_topic_detail(read->store->store, read->topics[i], STORE_LAST, got_last, read);
	}
}

static void add_topic(struct read *read, const char *topic)
{
	char *copy = strdup(topic);
	ASSERT(copy != NULL);
	read->topics[read->topic_count++] = copy;
}

static void got_registry(void *arg, const struct redis_value *value, const struct error *err)
{
	struct read *read = arg;
	struct error wrong;
	if (!answered(read, redis_check(value, "[(s[s])]", err, &wrong) ? NULL : &wrong))
		return;
	read->topics = calloc(redis_value_count(value) + 1, sizeof(*read->topics));
	ASSERT(read->topics != NULL);
	for (size_t i = 0; i < redis_value_count(value); i++)
		add_topic(read, store_topic_of_entry(redis_value_at(value, i)));
	ask_lasts(read);
}

static bool check(const Es__ReadRequest *request, struct entry_id *after, struct error *err)
{
	if (request->n_topics > TOPICS_MAX)
		return error_set(err, ERR_INVALID, "topics: must be at most %d, are %zu",
		                 TOPICS_MAX, request->n_topics);
	for (size_t i = 0; i < request->n_topics; i++) {
		if (!name_check("topics", request->topics[i], err))
			return false;
		for (size_t k = 0; k < i; k++) {
			if (strcmp(request->topics[i], request->topics[k]) == 0)
				return error_set(err, ERR_INVALID, "topics: \"%s\" is there twice",
				                 request->topics[i]);
		}
	}
	if (request->after == NULL)
		return true;
	if (request->after->topic[0] != '\0' &&
	    !name_check("after.topic", request->after->topic, err))
		return false;
	return entry_id_parse(request->after->entry_id, after, err) ||
	       error_wrap(err, "after.entry_id");
}

void read_message(void *ctx, struct rpc_call *call, const ProtobufCMessage *message)
{
	const Es__ReadRequest *request = (const Es__ReadRequest *)message;
	struct event_store *store = ctx;
	struct entry_id after = ENTRY_ID_FIRST;
	struct error err;
	if (!check(request, &after, &err)) {
		rpc_finish(call, &err);
		return;
	}
	struct read *read = calloc(1, sizeof(*read));
	ASSERT(read != NULL);
	read->store = store;
	read->call = call;
	read->request = request;
	read->after = after;
	rpc_set_data(call, read);
	watch_begin(&store->readers, &read->watch, call);
	if (request->n_topics == 0) {
		read->asked++;
		store_topics(store->store, got_registry, read);
		return;
	}
	read->topics = calloc(request->n_topics, sizeof(*read->topics));
	ASSERT(read->topics != NULL);
	for (size_t i = 0; i < request->n_topics; i++)
		add_topic(read, request->topics[i]);
	ask_lasts(read);
}

void read_drained(void *ctx, struct rpc_call *call)
{
	(void)ctx;
	if (rpc_data(call) != NULL)
		pump(rpc_data(call));
}

void read_ended(void *ctx, struct rpc_call *call)
{
	struct event_store *store = ctx;
	struct read *read = rpc_data(call);
	if (read == NULL)
		return;
	watch_end(&store->readers, &read->watch);
	reader_destroy(read->reader);
	read->call = NULL;
	if (read->asked == 0)
		read_free(read);
}
