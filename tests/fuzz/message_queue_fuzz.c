/* The message queue between clients and a Redis that say anything. */
#include "tests/fuzz/fake.h"

#include "base/log.h"
#include "message-queue/service.h"

static void stopped(void *arg)
{
	*(bool *)arg = true;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	static const char *const listen[] = { "fake" };
	struct message_queue_options options = { .redis_url = "redis://fake",
		                                 .listen = listen,
		                                 .listen_count = 1,
		                                 .instance = "fuzz",
		                                 .max_pending = 4 };
	struct message_queue *queue;
	struct error err;
	log_init("fuzz", LOG_ERROR);
	struct loop *loop = loop_create();
	ASSERT(message_queue_serve(loop, &options, &queue, &err));
	fake_drive(loop, bytes, len, NULL);
	/* Both ends: after what clients had was ended, and in the middle of it. */
	if (len % 2 == 0) {
		bool ended = false;
		message_queue_stop(queue, stopped, &ended);
		while (!ended)
			fake_loop_fire(loop);
	}
	message_queue_destroy(queue);
	loop_destroy(loop);
	return 0;
}
