#include "base/redis_internal.h"

#include "base/clock.h"
#include "base/fault.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum {
	QUEUE_MAX = 512 * 1024 * 1024,
	KEPT_CAPACITY = 4 * 1024 * 1024, /* larger buffers are freed after their batch */
	FIRST_REQUESTS = 64,
	READ_SIZE = 16 * 1024 /* hiredis moves what it holds after each reply: feed it little */
};

void batch_init(struct batch *batch)
{
	*batch = (struct batch){ .arena = arena_create() };
	buffer_init(&batch->bytes, QUEUE_MAX);
}

void batch_clear(struct batch *batch)
{
	if (batch->bytes.capacity > KEPT_CAPACITY)
		buffer_free(&batch->bytes);
	buffer_clear(&batch->bytes);
	if (batch->capacity * sizeof(*batch->requests) > KEPT_CAPACITY) {
		free(batch->requests);
		batch->requests = NULL;
		batch->capacity = 0;
	}
	batch->count = batch->sent = batch->answered = 0;
	batch->timeout_ms = 0;
	arena_reset(batch->arena);
}

void batch_free(struct batch *batch)
{
	buffer_free(&batch->bytes);
	free(batch->requests);
	arena_destroy(batch->arena);
}

void batch_swap(struct batch *a, struct batch *b)
{
	struct batch swap = *a;
	*a = *b;
	*b = swap;
}

struct request *batch_add(struct batch *batch)
{
	if (batch->count == batch->capacity) {
		batch->capacity = batch->capacity > 0 ? batch->capacity * 2 : FIRST_REQUESTS;
		batch->requests =
		    realloc(batch->requests, batch->capacity * sizeof(*batch->requests));
		ASSERT(batch->requests != NULL);
	}
	struct request *request = &batch->requests[batch->count++];
	*request = (struct request){ .offset = batch->bytes.len };
	return request;
}

struct request *batch_append(struct batch *batch, const struct redis_command *command,
                             unsigned timeout_ms, redis_done *done, void *arg)
{
	struct request *request = batch_add(batch);
	request->done = done;
	request->arg = arg;
	request->timeout_ms = timeout_ms;
	request->slot = command->slot;
	if (command->args.overflow || command->argc == 0) {
		request->refused = command->argc == 0 ? ERR_INVALID : ERR_TOO_LARGE;
		return request;
	}
	if (batch->bytes.max - batch->bytes.len < command->args.len + 32) {
		request->refused = ERR_EXHAUSTED;
		return request;
	}
	char head[24], *end = head + sizeof(head);
	char *begin = redis_put_decimal(end - 2, command->argc);
	*--begin = '*';
	memcpy(end - 2, "\r\n", 2);
	buffer_append(&batch->bytes, begin, (size_t)(end - begin));
	request->args = batch->bytes.len;
	buffer_append(&batch->bytes, command->args.bytes, command->args.len);
	request->len = batch->bytes.len - request->offset;
	if (timeout_ms > batch->timeout_ms)
		batch->timeout_ms = timeout_ms;
	return request;
}

void batch_append_asking(struct batch *batch)
{
	static const char asking[] = "*1\r\n$6\r\nASKING\r\n";
	struct request *request = batch_add(batch);
	request->asking = true;
	request->args = request->offset + 4;
	request->len = sizeof(asking) - 1;
	buffer_append(&batch->bytes, asking, sizeof(asking) - 1);
}

struct request *batch_copy(struct batch *batch, const struct batch *from,
                           const struct request *request)
{
	struct request *copy = batch_add(batch);
	size_t offset = copy->offset;
	*copy = *request;
	copy->value = NULL;
	copy->offset = offset;
	copy->args = offset + (request->args - request->offset);
	if (batch->bytes.max - batch->bytes.len < request->len)
		copy->refused = ERR_EXHAUSTED;
	else
		buffer_append(&batch->bytes, from->bytes.bytes + request->offset, request->len);
	if (copy->timeout_ms > batch->timeout_ms)
		batch->timeout_ms = copy->timeout_ms;
	return copy;
}

bool batch_write(struct batch *batch, int fd, struct error *err)
{
	while (batch->sent < batch->bytes.len) {
		ssize_t n = send(fd, batch->bytes.bytes + batch->sent,
		                 batch->bytes.len - batch->sent, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return true;
		if (n < 0)
			return error_set(err, ERR_UNAVAILABLE, "redis: %s", strerror(errno));
		batch->sent += (size_t)n;
		batch->progress_at_us = clock_monotonic_us();
		FAULT("redis_sent");
	}
	return true;
}

static bool take_answers(struct batch *batch, redisReader *reader, struct error *err)
{
	while (batch->answered < batch->count) {
		if (batch->requests[batch->answered].refused != ERR_NONE) {
			batch->answered++;
			continue;
		}
		void *value = NULL;
		if (redisReaderGetReply(reader, &value) != REDIS_OK)
			return error_set(err, ERR_UNAVAILABLE, "redis: %s", reader->errstr);
		if (value == NULL)
			return true;
		batch->requests[batch->answered++].value = value;
	}
	return true;
}

static bool read_some(struct batch *batch, int fd, redisReader *reader, struct error *err)
{
	char bytes[READ_SIZE];
	while (batch->answered < batch->count) {
		ssize_t n = recv(fd, bytes, sizeof(bytes), 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return true;
		if (n < 0)
			return error_set(err, ERR_UNAVAILABLE, "redis: %s", strerror(errno));
		if (n == 0)
			return error_set(err, ERR_UNAVAILABLE, "redis closed the connection");
		batch->progress_at_us = clock_monotonic_us();
		redisReaderFeed(reader, bytes, (size_t)n);
		if (!take_answers(batch, reader, err))
			return false;
	}
	return true;
}

bool batch_pump(struct batch *batch, int fd, redisReader *reader, struct error *err)
{
	return batch_write(batch, fd, err) && take_answers(batch, reader, err) &&
	       read_some(batch, fd, reader, err);
}

bool batch_late(const struct batch *batch)
{
	return clock_monotonic_us() > batch->progress_at_us + batch->timeout_ms * 1000ULL;
}
