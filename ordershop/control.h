/* control.h - the socket by which `status`, `stop` and `start` reach a running supervisor.
 *
 * A client connects, writes one line and reads the answer until the end:
 *   status          one line per process: name, state, pid, seconds in this state, restarts
 *   stop NAME       empty when it has ended
 *   start NAME      empty when it is ready
 * An answer that begins with "error: " is a refusal. */
#ifndef ORDERSHOP_CONTROL_H
#define ORDERSHOP_CONTROL_H

#include "base/buffer.h"

#include <poll.h>

enum { CONTROL_CLIENTS = 16 };

struct control; /* the server's side */

MUST_USE bool control_create(const char *path, struct control **out, struct error *err);
void control_destroy(struct control *control); /* NULL is fine; removes the socket */

/* What to wait for; room for CONTROL_CLIENTS + 1. */
size_t control_poll_fds(const struct control *control, struct pollfd *fds);
/* Takes what is ready. `request` gets each complete line, with a client to answer to. */
void control_turn(struct control *control, void (*request)(void *arg, const char *line, int client),
                  void *arg);
void control_answer(struct control *control, int client, const char *text);

/* The client's side: the answer to one request. ERR_UNAVAILABLE when nobody listens, ERR_PRECONDITION of a refusal,
 * also by the system: the socket is another user's. */
MUST_USE bool control_ask(const char *path, const char *request, struct buffer *answer,
                          struct error *err);

#endif
