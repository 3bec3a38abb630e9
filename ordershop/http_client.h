/* http_client.h - one HTTP request and its answer, waiting. For commands; plain HTTP only. */
#ifndef ORDERSHOP_HTTP_CLIENT_H
#define ORDERSHOP_HTTP_CLIENT_H

#include "base/arena.h"
#include "base/buffer.h"

struct http_target {
	char host[256], port[8];
};
/* "http://host:port[/]"; port 80 if there is none. */
MUST_USE bool http_target_parse(const char *url, struct http_target *target, struct error *err);

struct http_question {
	const char *method, *path;
	const char *headers; /* "Name: value\r\n"...; NULL: none */
	const char *body;    /* JSON; NULL: none */
};
/* At most 30 s between two pieces of the answer and 64 MiB. `body` lives in the arena. */
MUST_USE bool http_ask(const struct http_target *target, const struct http_question *question,
                       struct arena *arena, int *status, const char **body, struct error *err);

#endif
