/* testing_import.h - calls of Import, and a history to import. For import*_test.c. */
#ifndef EVENT_STORE_TESTING_IMPORT_H
#define EVENT_STORE_TESTING_IMPORT_H

#include "event-store/testing.h"

/* One call. In the arena. */
struct importing {
	struct rpc_stream *stream;
	size_t answers, ended;
	uint64_t events, skipped;
	uint64_t standing[2]; /* events of the first topics, as told last */
	bool finished;        /* all of them */
	struct error err;
};

struct importing *importing_open(void);
/* With its start sent; `second` may be NULL. */
struct importing *importing_begin(const char *id, const char *topic, const char *second);
/* With its first answer. */
struct importing *importing_begun(const char *id, const char *topic, const char *second);
/* Runs until the call has an answer more, or is over. */
void importing_until_answer(struct importing *call);
void importing_until(struct importing *call, uint64_t events);

/* Event number `n` of a history: 2017, one a minute, of four entities. */
Es__Event *importing_event(const char *topic, unsigned n);
void importing_send(struct importing *call, Es__Event **events, size_t count);
void importing_send_history(struct importing *call, const char *topic, unsigned first,
                            unsigned end);
/* The first events of both, in turn. */
void importing_send_pairs(struct importing *call, const char *first, const char *second,
                          unsigned count);

/* The end of a call: the first and the last may fail, which is in call->err. */
void importing_finish_with(struct importing *call, Es__GroupCheckpoint **groups, size_t count);
void importing_finish(struct importing *call);
void importing_leave(struct importing *call);
void importing_abandon(struct importing *call);

/* How many events of the history are there to be read; nothing else is. */
size_t importing_events_in(const char *topic);
/* An append to the topic is refused with these words. */
void importing_refuses_append(const char *topic, const char *says);
/* Shows one topic, as a store that dies before it comes to the others. */
void importing_publish(const char *topic);

#endif
