/* http_internal.h - what the files of the HTTP server share.
 *
 *   http_server.c   the thread, its loop and MHD's callbacks
 *   http_answer.c   answers: made on any thread, queued on the HTTP thread
 *   http_request.c  reading a request
 *   http_stream.c   open answers
 *
 * Life of a request. Only WAITING is seen by other threads, and only http_answer* leads out of it:
 *
 *   READING ---> WAITING ---> ANSWERED ---> (response queued) ---> freed when it was sent
 *      |            |  client gone: detached, freed when the answer comes
 *      '--> refused '- server destroyed: abandoned, freed when the answer comes */
#ifndef BASE_HTTP_INTERNAL_H
#define BASE_HTTP_INTERNAL_H

#include "base/http_server.h"

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>

/* What other threads leave for the HTTP thread: a lock-free stack, taken as a whole. */
struct http_wake {
	struct http_wake *next;
	bool stream; /* else a request that was answered */
};

enum http_request_state { HTTP_READING, HTTP_WAITING, HTTP_ANSWERED };
enum http_answer_owner { HTTP_OPEN, HTTP_TAKEN, HTTP_ABANDONED };

struct http_answer_data {
	int status;
	const char *content_type;
	struct buffer body;
	const char *static_body; /* instead of body */
	size_t static_len;
	char *extra_headers;
	struct http_stream *stream; /* instead of a body */
};

struct http_request {
	struct http_wake wake; /* first: the stack holds these */
	struct http_server *server;
	struct MHD_Connection *connection; /* NULL: the client has gone */
	void **context;                    /* where MHD keeps the request of the connection */
	struct http_request *prev, *next;  /* of server->waiting or server->streaming */
	enum http_request_state state;
	/* Decides between the one who answers and a server that is being destroyed. */
	_Atomic enum http_answer_owner owner;
	bool suspended;
	uint64_t since_us; /* when it began to wait */
	int refuse_status; /* answer this instead of calling the handler; 0: none */
	const char *refuse_message;
	struct buffer body;
	size_t discarded; /* bytes of a body that is too large */
	struct http_answer_data answer;
	struct http_decoded *decoded; /* of http_query */
	const char *path;
	char method[]; /* then the path */
};

struct http_stream {
	struct http_wake wake;
	void (*closed)(void *arg, struct http_stream *stream);
	void *arg;
	pthread_mutex_t mutex;
	/* Under the mutex. */
	struct http_server *server; /* NULL once closed */
	struct buffer pending;
	size_t taken; /* of pending */
	bool ending;  /* the owner called http_stream_close */
	bool dead;    /* gone or too slow */
	bool queued;  /* on the stack of wakes */
	int refs;     /* owner, connection, stack of wakes */
	/* Of the HTTP thread. */
	struct MHD_Connection *connection;
	bool suspended;
	int fd;
};

struct http_server {
	struct http_options options;
	http_handler *handler;
	void *ctx;
	struct MHD_Daemon *daemon;
	char too_large[80]; /* what is said of a body above body_max */
	int listen_fd, port;
	int epoll_fd, event_fd;
	pthread_t thread;
	_Atomic(struct http_wake *) wakes;
	atomic_uint pushing; /* threads within http_wake_push */
	atomic_bool sleeping;
	atomic_bool stopping;
	_Atomic unsigned grace_ms;
	/* Of the HTTP thread. */
	struct http_request *waiting;   /* for their answers */
	struct http_request *streaming; /* answered by a stream that is open */
	unsigned young;                 /* of the waiting ones, those that are not suspended */
	uint64_t now_us;
	bool progress; /* this turn did something that the next turn goes on with */
};

/* Any thread. */
void http_wake_push(struct http_server *server, struct http_wake *wake);

/* The rest on the HTTP thread. */
struct http_request *http_request_create(struct http_server *server, struct MHD_Connection *con,
                                         const char *method, const char *url);
void http_request_free(struct http_request *request);
/* Calls the handler. True: it answered at once. */
bool http_dispatch(struct http_request *request);
/* Hands the answer to MHD. False: the connection must be closed. */
bool http_answer_queue(struct http_request *request);
void http_answer_free(struct http_answer_data *answer);

/* The response that reads from the stream, or NULL. */
struct MHD_Response *http_stream_response(struct http_stream *stream, struct MHD_Connection *con);
/* More to send, or to end: MHD shall ask again. Drops the reference of the stack of wakes. */
void http_stream_wake(struct http_stream *stream);
/* The socket's other end has gone. */
void http_stream_hang_up(struct http_stream *stream);
/* Ends the stream because the server goes. */
void http_stream_stop(struct http_stream *stream);
/* The connection is done with it: tells the owner. */
void http_stream_closed(struct http_stream *stream);

#endif
