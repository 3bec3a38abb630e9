/* fake_tail.c - the event store's tail without its thread: the input says what was read. */
#include "tests/fuzz/fake.h"
#include "tests/fuzz/fake_tail.h"

#include "base/redis_internal.h"
#include "event-store/tail_thread.h"

#include <stdlib.h>
#include <string.h>

struct tail_thread {
	void (*posted)(void *arg, struct tail_post *post);
	void *arg;
	unsigned generation;
	unsigned begun;
	uint64_t closed_ms;
};

static struct tail_thread *the_thread;

bool tail_thread_create(struct loop *loop, const char *url,
                        void (*posted)(void *arg, struct tail_post *post), void *arg,
                        struct tail_thread **out, struct error *err)
{
	(void)loop;
	(void)url;
	(void)err;
	the_thread = calloc(1, sizeof(*the_thread));
	ASSERT(the_thread != NULL);
	the_thread->posted = posted;
	the_thread->arg = arg;
	*out = the_thread;
	return true;
}

void tail_thread_destroy(struct tail_thread *thread)
{
	free(thread);
	the_thread = NULL;
}

void tail_thread_set_generation(struct tail_thread *thread, unsigned generation)
{
	thread->generation = generation;
}

static struct event_batch *read_batch(const char *topic, const uint8_t *bytes, size_t len)
{
	struct event_batch *batch = event_batch_create();
	redisReader *reader = redis_reader_create();
	void *value = NULL;
	reader->privdata = batch->arena;
	if (redisReaderFeed(reader, (const char *)bytes, len) == REDIS_OK &&
	    redisReaderGetReply(reader, &value) == REDIS_OK && value != NULL)
		event_batch_add(batch, topic, value);
	redisReaderFree(reader);
	return batch;
}

void fake_tail_step(struct fuzz_input *input)
{
	static const char *const topics[] = { "order", "cart" };
	struct tail_thread *thread = the_thread;
	uint8_t form = fuzz_byte(input);
	if (thread->generation == 0)
		return;
	struct tail_post post = { .generation = thread->generation, .thread = thread };
	if (thread->begun != thread->generation) {
		thread->begun = thread->generation;
		post.has_closed = true;
	} else {
		size_t len;
		const uint8_t *bytes = fuzz_bytes(input, &len);
		post.batch = read_batch(topics[form & 1], bytes, len);
		post.has_closed = (form & 2) != 0;
	}
	thread->closed_ms += form >> 2;
	post.closed.ms = thread->closed_ms;
	thread->posted(thread->arg, &post);
}
