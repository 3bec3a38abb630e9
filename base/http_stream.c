#include "base/http_internal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum { READ_SIZE = 16 * 1024 };

/* Unlocks the mutex. */
static void unref_unlock(struct http_stream *stream)
{
	bool last = --stream->refs == 0;
	pthread_mutex_unlock(&stream->mutex);
	if (!last)
		return;
	pthread_mutex_destroy(&stream->mutex);
	buffer_free(&stream->pending);
	free(stream);
}

/* Under the mutex. */
static void wake(struct http_stream *stream)
{
	if (stream->queued || stream->server == NULL)
		return;
	stream->queued = true;
	stream->refs++;
	http_wake_push(stream->server, &stream->wake);
}

static void resume(struct http_stream *stream)
{
	if (!stream->suspended)
		return;
	stream->suspended = false;
	MHD_resume_connection(stream->connection);
}

static ssize_t read_stream(void *arg, uint64_t position, char *out, size_t max)
{
	(void)position;
	struct http_stream *stream = arg;
	pthread_mutex_lock(&stream->mutex);
	size_t len = stream->pending.len - stream->taken;
	ssize_t result;
	if (stream->dead) {
		result = MHD_CONTENT_READER_END_WITH_ERROR;
	} else if (len > 0) {
		len = len < max ? len : max;
		memcpy(out, stream->pending.bytes + stream->taken, len);
		stream->taken += len;
		if (stream->taken == stream->pending.len) {
			buffer_free(&stream->pending);
			stream->taken = 0;
		}
		result = (ssize_t)len;
	} else if (stream->ending) {
		result = MHD_CONTENT_READER_END_OF_STREAM;
	} else {
		stream->suspended = true;
		MHD_suspend_connection(stream->connection);
		result = 0;
	}
	pthread_mutex_unlock(&stream->mutex);
	return result;
}

struct MHD_Response *http_stream_response(struct http_stream *stream, struct MHD_Connection *con)
{
	struct MHD_Response *response = MHD_create_response_from_callback(
	    MHD_SIZE_UNKNOWN, READ_SIZE, read_stream, stream, NULL);
	if (response == NULL)
		return NULL;
	MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	stream->connection = con;
	/* MHD does not look at the socket of a suspended connection, so we do. */
	stream->fd = MHD_get_connection_info(con, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
	struct epoll_event event = { .events = EPOLLRDHUP | EPOLLONESHOT, .data.ptr = stream };
	epoll_ctl(stream->server->epoll_fd, EPOLL_CTL_ADD, stream->fd, &event);
	return response;
}

void http_stream_wake(struct http_stream *stream)
{
	pthread_mutex_lock(&stream->mutex);
	stream->queued = false;
	if (stream->server != NULL) {
		/* One that does not read would hold the connection until its timeout. */
		if (stream->dead && stream->fd >= 0)
			shutdown(stream->fd, SHUT_RDWR);
		resume(stream);
	}
	unref_unlock(stream);
}

void http_stream_hang_up(struct http_stream *stream)
{
	pthread_mutex_lock(&stream->mutex);
	stream->dead = true;
	resume(stream);
	pthread_mutex_unlock(&stream->mutex);
}

void http_stream_stop(struct http_stream *stream)
{
	pthread_mutex_lock(&stream->mutex);
	stream->ending = true;
	resume(stream);
	pthread_mutex_unlock(&stream->mutex);
}

void http_stream_closed(struct http_stream *stream)
{
	pthread_mutex_lock(&stream->mutex);
	if (stream->fd >= 0)
		epoll_ctl(stream->server->epoll_fd, EPOLL_CTL_DEL, stream->fd, NULL);
	stream->server = NULL;
	stream->dead = true;
	pthread_mutex_unlock(&stream->mutex);
	stream->closed(stream->arg, stream);
	pthread_mutex_lock(&stream->mutex);
	unref_unlock(stream);
}

/* Room for `len` more: what was taken goes. */
static void compact(struct http_stream *stream, size_t len)
{
	struct buffer *pending = &stream->pending;
	if (stream->taken == 0 || len <= pending->max - pending->len)
		return;
	pending->len -= stream->taken;
	memmove(pending->bytes, pending->bytes + stream->taken, pending->len);
	stream->taken = 0;
}

void http_stream_send(struct http_stream *stream, const char *bytes, size_t len)
{
	pthread_mutex_lock(&stream->mutex);
	if (!stream->dead && !stream->ending) {
		compact(stream, len);
		buffer_append(&stream->pending, bytes, len);
		stream->dead = stream->pending.overflow;
		wake(stream);
	}
	pthread_mutex_unlock(&stream->mutex);
}

size_t http_stream_unread(struct http_stream *stream)
{
	pthread_mutex_lock(&stream->mutex);
	size_t len = stream->pending.len - stream->taken;
	pthread_mutex_unlock(&stream->mutex);
	return len;
}

void http_stream_close(struct http_stream *stream)
{
	pthread_mutex_lock(&stream->mutex);
	stream->ending = true;
	wake(stream);
	unref_unlock(stream);
}
