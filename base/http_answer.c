#include "base/http_internal.h"
#include "base/json.h"

#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

/* The request whose handler runs on this thread: its answer needs no detour over the stack. */
static __thread struct http_request *handling;

enum { ERROR_BODY_MAX = 4096 };
#define RETRY_AFTER_S "1"

void http_wake_push(struct http_server *server, struct http_wake *wake)
{
	/* Once it is pushed, nothing but this keeps the server from being destroyed under us. */
	atomic_fetch_add(&server->pushing, 1);
	struct http_wake *head = atomic_load_explicit(&server->wakes, memory_order_relaxed);
	do {
		wake->next = head;
	} while (!atomic_compare_exchange_weak(&server->wakes, &head, wake));
	if (atomic_exchange(&server->sleeping, false))
		eventfd_write(server->event_fd, 1);
	atomic_fetch_sub(&server->pushing, 1);
}

bool http_dispatch(struct http_request *request)
{
	if (request->refuse_status != 0) {
		handling = request;
		http_answer_error(request, request->refuse_status, request->refuse_message);
	} else {
		handling = request;
		request->server->handler(request->server->ctx, request);
	}
	/* An answer given inline has cleared it. */
	bool answered = handling == NULL;
	handling = NULL;
	return answered;
}

void http_answer_free(struct http_answer_data *answer)
{
	buffer_free(&answer->body);
	free(answer->extra_headers);
	answer->extra_headers = NULL;
}

static void give(struct http_request *request, struct http_answer_data answer)
{
	enum http_answer_owner open = HTTP_OPEN;
	if (!atomic_compare_exchange_strong(&request->owner, &open, HTTP_TAKEN)) {
		ASSERT(open == HTTP_ABANDONED); /* else: answered twice */
		if (answer.stream != NULL)
			http_stream_closed(answer.stream);
		request->answer = answer;
		http_request_free(request);
		return;
	}
	request->answer = answer;
	if (handling == request) {
		handling = NULL;
		return;
	}
	http_wake_push(request->server, &request->wake);
}

void http_answer(struct http_request *request, int status, const char *content_type,
                 struct buffer *body, const char *extra_headers)
{
	struct http_answer_data answer = { .status = status, .content_type = content_type };
	answer.body = *body;
	buffer_init(body, body->max);
	if (extra_headers != NULL) {
		answer.extra_headers = strdup(extra_headers);
		ASSERT(answer.extra_headers != NULL);
	}
	give(request, answer);
}

void http_answer_error(struct http_request *request, int status, const char *message)
{
	struct buffer body;
	buffer_init(&body, ERROR_BODY_MAX);
	buffer_puts(&body, "{\"error\": ");
	json_write_string(&body, message, strlen(message));
	buffer_putc(&body, '}');
	bool later = status == MHD_HTTP_TOO_MANY_REQUESTS || status == MHD_HTTP_SERVICE_UNAVAILABLE;
	http_answer(request, status, "application/json", &body,
	            later ? "Retry-After: " RETRY_AFTER_S "\r\n" : NULL);
}

void http_answer_static(struct http_request *request, int status, const char *content_type,
                        const char *body, size_t len)
{
	give(request, (struct http_answer_data){ .status = status,
	                                         .content_type = content_type,
	                                         .static_body = body,
	                                         .static_len = len });
}

struct http_stream *http_answer_stream(struct http_request *request, const char *content_type,
                                       void (*closed)(void *arg, struct http_stream *stream),
                                       void *arg)
{
	struct http_stream *stream = calloc(1, sizeof(*stream));
	ASSERT(stream != NULL);
	stream->wake.stream = true;
	stream->closed = closed;
	stream->arg = arg;
	pthread_mutex_init(&stream->mutex, NULL);
	stream->server = request->server;
	buffer_init(&stream->pending, request->server->options.stream_max);
	stream->refs = 2;
	stream->fd = -1;
	give(request, (struct http_answer_data){
	                  .status = MHD_HTTP_OK, .content_type = content_type, .stream = stream });
	return stream;
}

/* "Name: value\r\n..." */
static void add_headers(struct MHD_Response *response, char *lines)
{
	char *rest = lines;
	for (char *line; (line = strsep(&rest, "\r\n")) != NULL;) {
		char *value = strchr(line, ':');
		if (value == NULL)
			continue;
		*value++ = '\0';
		MHD_add_response_header(response, line, value + strspn(value, " "));
	}
}

bool http_answer_queue(struct http_request *request)
{
	struct http_answer_data *answer = &request->answer;
	struct MHD_Response *response;
	if (answer->stream != NULL) {
		response = http_stream_response(answer->stream, request->connection);
	} else if (answer->static_body != NULL) {
		response = MHD_create_response_from_buffer(answer->static_len,
		                                           (void *)(uintptr_t)answer->static_body,
		                                           MHD_RESPMEM_PERSISTENT);
	} else {
		response = MHD_create_response_from_buffer_with_free_callback(
		    answer->body.len, answer->body.bytes, free);
		if (response != NULL)
			buffer_init(&answer->body, 0);
	}
	if (response == NULL)
		return false;
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, answer->content_type);
	if (answer->extra_headers != NULL)
		add_headers(response, answer->extra_headers);
	bool queued =
	    MHD_queue_response(request->connection, (unsigned)answer->status, response) == MHD_YES;
	MHD_destroy_response(response);
	request->server->progress = true;
	return queued;
}
