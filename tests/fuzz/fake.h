/* fake.h - a service in a box: doubles of base/loop, base/clock, base/redis and base/rpc_server, so that
 * one input decides what clients send, what Redis answers, and in which order. No sockets, no time.
 *
 *   input --fake_drive--> opens calls, sends messages, cancels     (fake_rpc.c)
 *                         answers and fails Redis commands          (fake_redis.c)
 *                         lets timers fire; each step ends a turn   (fake_loop.c)
 *
 * Requests go through protobuf-c and the check of their text as in the real server, answers of Redis
 * through the real reader of its protocol. Every message that a service sends is packed, every
 * error looked at (fuzz_check_error).
 *
 * The linker takes these instead of the members of base_*.a; it objects (doubly defined) when a
 * header has a function more than its double. */
#ifndef TESTS_FUZZ_FAKE_H
#define TESTS_FUZZ_FAKE_H

#include "base/loop.h"
#include "tests/fuzz/fuzz.h"

/* Runs posts, hooks and tasks until nothing is left of them. */
void fake_loop_turn(struct loop *loop);
/* Moves the clock to the next timer and fires it. */
void fake_loop_fire(struct loop *loop);

/* `which` counts modulo what there is: waiting commands, methods, open calls. */

/* A command gets an answer in Redis's protocol (nothing happens while it is not complete), or
 * ERR_UNAVAILABLE. */
void fake_redis_answer(unsigned which, const uint8_t *bytes, size_t len);
void fake_redis_fail(unsigned which);

void fake_rpc_open(unsigned which, unsigned deadline_ms); /* 0: none */
void fake_rpc_message(unsigned which, const uint8_t *bytes, size_t len);
void fake_rpc_half_close(unsigned which);
void fake_rpc_cancel(unsigned which);
/* The client has taken what was sent. */
void fake_rpc_drained(unsigned which);
/* Ends what is over; true if something was. */
bool fake_rpc_settle(void);

/* Steps are a byte and what it needs: seeds.py writes them. `extra` (may be NULL) is a step of the
 * harness's own. */
void fake_drive(struct loop *loop, const uint8_t *bytes, size_t len,
                void (*extra)(struct fuzz_input *input));

#endif
