/* The event store between clients and a Redis that say anything. */
#include "tests/fuzz/fake.h"
#include "tests/fuzz/fake_tail.h"

#include "base/log.h"
#include "event-store/service.h"

static void stopped(void *arg)
{
	*(bool *)arg = true;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	static const char *const listen[] = { "fake" };
	struct event_store_options options = { .redis_url = "redis://fake",
		                               .listen = listen,
		                               .listen_count = 1 };
	struct event_store *store;
	struct error err;
	log_init("fuzz", LOG_ERROR);
	struct loop *loop = loop_create();
	ASSERT(event_store_serve(loop, &options, &store, &err));
	fake_drive(loop, bytes, len, fake_tail_step);
	/* Both ends: after what clients had was ended, and in the middle of it. */
	if (len % 2 == 0) {
		bool ended = false;
		event_store_stop(store, stopped, &ended);
		while (!ended)
			fake_loop_fire(loop);
	}
	event_store_destroy(store);
	loop_destroy(loop);
	return 0;
}
