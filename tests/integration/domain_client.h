/* domain_client.h - commands for the services of domain_processes.h, and looks at the log.
 *
 * What must succeed and does not fails the test. Texts live until client_disconnect. */
#ifndef TESTS_DOMAIN_CLIENT_H
#define TESTS_DOMAIN_CLIENT_H

#include "base/arena.h"
#include "base/json.h"

extern struct arena *client_arena;
#define TEXT(...) arena_printf(client_arena, __VA_ARGS__)

struct call {
	struct json *result; /* NULL: failed, with `error` */
	struct error error;
	struct call *next;
};

void client_connect(void);
void client_disconnect(void);

/* Sends; the call is filled when client_wait, or the next client_run, returns. */
struct call *client_begin(const char *service, const char *function, const char *params);
void client_wait(void);
struct call *client_run(const char *service, const char *function, const char *params);
/* The only id of a result that is a list of ids. */
const char *client_make(const char *service, const char *function, const char *params);
/* Its message must have `word` in it. */
void client_refused(const char *service, const char *function, const char *params,
                    enum error_code code, const char *word);

/* The entity's last event, "" when there is none. */
const char *client_data(const char *topic, const char *id);
/* Within 15 s there is `text` in it. */
bool client_comes(const char *topic, const char *id, const char *text);
uint64_t client_topic_length(const char *topic);

#endif
