/* The read model between clients, an event store and a Redis that say anything. */
#include "tests/fuzz/fake.h"
#include "tests/fuzz/fake_client.h"

#include "base/log.h"
#include "read-model/service.h"

/* Comes when all has ended, which may be only when it is destroyed. */
static void stopped(void *arg)
{
	(void)arg;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	static const char *const listen[] = { "fake" };
	struct read_model_options options = { .redis_url = "redis://fake",
		                              .event_store = "fake",
		                              .listen = listen,
		                              .listen_count = 1,
		                              .message_queue = "fake" };
	struct read_model *model;
	struct error err;
	log_init("fuzz", LOG_ERROR + 1);
	struct loop *loop = loop_create();
	ASSERT(read_model_serve(loop, &options, &model, &err));
	fake_drive(loop, bytes, len, fake_client_step);
	if (len % 2 == 0)
		read_model_stop(model, stopped, NULL);
	read_model_destroy(model);
	loop_destroy(loop);
	return 0;
}
