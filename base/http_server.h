/* http_server.h - HTTP/1.1 on a thread of its own, answers from anywhere.
 *
 * The handler runs on the HTTP thread when a request is complete (its body is bounded by
 * `body_max`; above it the answer is 413 without the handler). It may answer at once or keep the
 * request and answer later, from any thread; a request must be answered exactly once. Answers of other
 * threads wake the HTTP thread once for all that came in the meantime.
 *
 * A stream (Server-Sent Events) is an answer that stays open: http_stream_send appends to it. A
 * client that leaves more than `stream_max` unread is disconnected. */
#ifndef BASE_HTTP_SERVER_H
#define BASE_HTTP_SERVER_H

#include "base/buffer.h"

struct http_server;
struct http_request;
struct http_stream;

struct http_options {
	const char *host; /* "127.0.0.1" */
	int port;         /* 0: any free one */
	size_t body_max;
	size_t stream_max;
	unsigned connection_max;
	unsigned idle_timeout_s;
	/* NULL, or called with the handler's ctx on the HTTP thread after each look at the network:
	 * the place to pass on in one piece what the handler collected. */
	void (*turn)(void *ctx);
};

typedef void http_handler(void *ctx, struct http_request *request);

MUST_USE bool http_server_create(const struct http_options *options, http_handler *handler,
                                 void *ctx, struct http_server **out, struct error *err);
int http_server_port(const struct http_server *server);
/* Stops accepting, takes what comes within 50 ms, waits up to grace_ms for what is being answered,
 * answers the rest with 503, closes and frees. What is answered after that goes nowhere. NULL is fine. */
void http_server_destroy(struct http_server *server, unsigned grace_ms);

const char *http_method(const struct http_request *request); /* "GET" */
/* Decoded, without the query. A malformed encoding is answered 400 without the handler. */
const char *http_path(const struct http_request *request);
/* These on the HTTP thread only, within the handler. NULL: none. */
/* Decoded; as it was sent if its encoding is malformed; "" without a value. */
const char *http_query(struct http_request *request, const char *name);
const char *http_query_first(struct http_request *request); /* a parameter's name, not decoded */
const char *http_header(const struct http_request *request, const char *name);
const char *http_body(const struct http_request *request, size_t *len);

/* `content_type` is a literal; the body's bytes are taken over (the buffer is empty afterwards).
 * `extra_headers`: "Name: value\r\n..." or NULL. */
void http_answer(struct http_request *request, int status, const char *content_type,
                 struct buffer *body, const char *extra_headers);
/* {"error": message}; with 429 and 503 the header Retry-After. */
void http_answer_error(struct http_request *request, int status, const char *message);
/* A constant body, never copied. */
void http_answer_static(struct http_request *request, int status, const char *content_type,
                        const char *body, size_t len);

/* Turns the request into an open answer. `closed` is called once, on the HTTP thread, when the client
 * has gone, was too slow, or has got the end that http_stream_close sent. The owner calls
 * http_stream_close once, to end the stream or after `closed`; only then is its memory freed. */
struct http_stream *http_answer_stream(struct http_request *request, const char *content_type,
                                       void (*closed)(void *arg, struct http_stream *stream),
                                       void *arg);
/* From any thread; dropped when the client has gone. */
void http_stream_send(struct http_stream *stream, const char *bytes, size_t len);
size_t http_stream_unread(struct http_stream *stream); /* bytes that wait for the client */
void http_stream_close(struct http_stream *stream);    /* the owner must not use it after this */

#endif
