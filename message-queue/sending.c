/* Sending, and waiting for outcomes. */
#include "message-queue/queue_internal.h"

#include <stdlib.h>
#include <string.h>

/* ---- those who wait ---- */

void submission_free(struct submission *submission)
{
	free(submission->record);
	free(submission);
}

static void wait_begin(struct submission *submission)
{
	struct queue *queue = submission->queue;
	struct waiting *waiting = NULL;
	HASH_FIND_STR(queue->waiting, submission->id, waiting);
	if (waiting == NULL) {
		waiting = calloc(1, sizeof(*waiting));
		ASSERT(waiting != NULL);
		memcpy(waiting->id, submission->id, sizeof(waiting->id));
		HASH_ADD_STR(queue->waiting, id, waiting);
	}
	DL_APPEND2(waiting->list, submission, wait_prev, wait_next);
}

static void wait_end(struct submission *submission)
{
	struct queue *queue = submission->queue;
	struct waiting *waiting = NULL;
	HASH_FIND_STR(queue->waiting, submission->id, waiting);
	ASSERT(waiting != NULL);
	DL_DELETE2(waiting->list, submission, wait_prev, wait_next);
	if (waiting->list == NULL) {
		HASH_DEL(queue->waiting, waiting);
		free(waiting);
	}
}

/* Takes the submission out of all lists but the batch. */
static void detach(struct submission *submission)
{
	struct submitter *submitter = submission->submitter;
	DL_DELETE2(submitter->unanswered, submission, owner_prev, owner_next);
	submitter->unanswered_count--;
	submission->submitter = NULL;
	submission->queue->queues->callers--;
	loop_timer_stop(submission->queue->queues->loop, &submission->deadline);
	if (submission->wait)
		wait_end(submission);
	if (!submission->pushing)
		submission_free(submission);
}

static void answer(struct submission *submission, const struct answer *what)
{
	struct submitter *submitter = submission->submitter;
	if (submitter == NULL)
		return;
	uint64_t tag = submission->tag;
	char id[MESSAGE_ID_SIZE];
	memcpy(id, submission->id, sizeof(id));
	struct answer mine = *what;
	mine.message_id = id;
	if (submission->send_only && what->kind != ANSWER_FAILED) {
		mine.kind = ANSWER_STORED;
		mine.duplicate = submission->duplicate;
	}
	detach(submission);
	submitter->answer(submitter->ctx, tag, &mine);
}

void queue_answer(struct queue *queue, const char *id, struct answer *what)
{
	struct waiting *waiting = NULL;
	struct submission *one;
	size_t count = 0;
	HASH_FIND_STR(queue->waiting, id, waiting);
	if (waiting != NULL)
		DL_COUNT2(waiting->list, one, count, wait_next);
	/* An answer may end others of the list, or begin new ones. */
	for (; count > 0 && waiting != NULL; count--) {
		answer(waiting->list, what);
		HASH_FIND_STR(queue->waiting, id, waiting);
	}
}

void queue_answer_outcome(struct queue *queue, const char *id, const char *outcome, size_t len)
{
	struct answer what = { .kind = ANSWER_OUTCOME, .outcome = outcome, .outcome_len = len };
	queue_answer(queue, id, &what);
}

static void set_dead(struct answer *what, const char *reason)
{
	what->kind = ANSWER_DEAD;
	error_set(&what->err, ERR_INTERNAL, "the message was parked: %s", reason);
}

void queue_answer_dead(struct queue *queue, const char *id, const char *reason)
{
	struct answer what = { 0 };
	set_dead(&what, reason);
	queue_answer(queue, id, &what);
}

void queue_answer_stored(struct queue *queue, const char *id)
{
	struct answer what = { .kind = ANSWER_STORED };
	for (;;) {
		struct waiting *waiting = NULL;
		struct submission *one = NULL;
		HASH_FIND_STR(queue->waiting, id, waiting);
		if (waiting != NULL)
			one = waiting->list;
		while (one != NULL && !one->send_only)
			one = one->wait_next;
		if (one == NULL)
			return;
		answer(one, &what);
	}
}

static void on_deadline(void *arg)
{
	struct answer what = { .kind = ANSWER_FAILED };
	error_set(&what.err, ERR_DEADLINE, "no outcome in time; the work goes on");
	answer(arg, &what);
}

void submitter_end(struct submitter *submitter)
{
	while (submitter->unanswered != NULL)
		detach(submitter->unanswered);
}

/* ---- sending ---- */

static struct submission *submission_create(struct queue *queue, const char *id, bool wait,
                                            uint64_t timeout_ms, struct submitter *submitter,
                                            uint64_t tag)
{
	struct submission *submission = calloc(1, sizeof(*submission));
	ASSERT(submission != NULL);
	submission->queue = queue;
	ASSERT(strlen(id) < sizeof(submission->id));
	strcpy(submission->id, id);
	submission->wait = wait;
	submission->send_only = !wait;
	submission->tag = tag;
	submission->submitter = submitter;
	DL_APPEND2(submitter->unanswered, submission, owner_prev, owner_next);
	submitter->unanswered_count++;
	queue->queues->callers++;
	if (wait)
		wait_begin(submission);
	if (timeout_ms > 0)
		loop_timer_start(queue->queues->loop, &submission->deadline, timeout_ms,
		                 on_deadline, submission);
	return submission;
}

void submission_delivered(struct submission *submission)
{
	submission->pushing = false;
	if (submission->submitter == NULL) { /* gone since it sent */
		submission_free(submission);
		return;
	}
	if (!submission->wait)
		wait_begin(submission);
	submission->wait = true;
}

/* Refusals come by the loop too, so that no answer comes before the call returns. */
static void refuse_callers(void *arg)
{
	struct answer what = { .kind = ANSWER_FAILED };
	struct submission *submission = arg;
	error_set(&what.err, ERR_EXHAUSTED, "%zu callers wait already, the limit",
	          submission->queue->queues->options.max_callers);
	answer(submission, &what);
}

void queue_submit(struct queue *queue, const struct sending *sending, struct submitter *submitter,
                  uint64_t tag)
{
	struct queues *queues = queue->queues;
	bool refused = queues->callers >= queues->options.max_callers;
	struct submission *submission = submission_create(queue, sending->id, sending->wait,
	                                                  sending->timeout_ms, submitter, tag);
	submission->record = sending->record;
	submission->record_len = sending->len;
	submission->priority = sending->priority;
	submission->delay_ms = sending->delay_ms;
	if (refused) {
		loop_timer_start(queues->loop, &submission->deadline, 0, refuse_callers,
		                 submission);
		return;
	}
	submission->at_once = sending->at_once && sending->priority == 0 && sending->delay_ms == 0;
	submission->pushing = true;
	DL_APPEND(queue->pushes, submission);
	queue->push_count++;
	queue_mark(queue);
}

void queue_await(struct queue *queue, const char *id, uint64_t timeout_ms,
                 struct submitter *submitter, uint64_t tag)
{
	bool refused = queue->queues->callers >= queue->queues->options.max_callers;
	struct submission *submission =
	    submission_create(queue, id, true, timeout_ms, submitter, tag);
	if (refused)
		loop_timer_start(queue->queues->loop, &submission->deadline, 0, refuse_callers,
		                 submission);
	else
		queue_check(queue, &id, 1);
}

/* ---- pushes ---- */

struct push {
	struct queue *queue;
	struct places places;
	size_t count;
	struct submission *items[];
};

static void pushed_one(struct push *push, struct submission *item, char state,
                       const struct redis_value *outcomes, size_t *next_outcome)
{
	struct queue *queue = push->queue;
	bool fresh = state == 'R' || state == 'Q' || state == 'W';
	struct answer what = { .kind = ANSWER_STORED, .duplicate = !fresh };
	bool ended = item->send_only;
	item->duplicate = what.duplicate;
	if (state == 'R')
		places_deliver(&push->places, queue, item->id, item->record, item->record_len, 1);
	if (state == 'Q')
		queue->backlog = true;
	if (state == 'W')
		queue_expire_after(queue, item->delay_ms);
	if (state == 'O' || state == 'X') {
		size_t len = 0;
		const char *text =
		    redis_value_string(redis_value_at(outcomes, (*next_outcome)++), &len);
		if (state == 'X' && item->wait)
			set_dead(&what, text);
		else if (item->wait)
			what = (struct answer){ .kind = ANSWER_OUTCOME,
				                .outcome = text,
				                .outcome_len = len };
		ended = true;
	}
	if (state == 'F') {
		what.kind = ANSWER_FAILED;
		error_set(&what.err, ERR_EXHAUSTED,
		          "%s is full, its limit is %llu: send again when its consumers have "
		          "caught up, or its dead letters are gone",
		          queue->name, (unsigned long long)queue_limit(queue));
		ended = true;
	}
	if (ended)
		answer(item, &what);
}

/* After it, the submission lives only as long as it is unanswered. */
static void push_ended(struct submission *item)
{
	item->queue->pushing--;
	item->pushing = false;
	free(item->record);
	item->record = NULL;
	if (item->submitter == NULL)
		submission_free(item);
}

/* One letter per message, with what belongs to it; NULL: *err says why not. */
static const char *push_states(const struct push *push, const struct redis_value *value,
                               const struct error *failed, struct error *err)
{
	if (!redis_check(value, "(s[s][ssi])", failed, err))
		return NULL;
	size_t len = 0, ended = 0;
	const char *states = redis_value_string(redis_value_at(value, 0), &len);
	for (size_t i = 0; i < len; i++)
		ended += states[i] == 'O' || states[i] == 'X';
	if (len == push->count && strspn(states, "RQWDOXF") == len &&
	    ended == redis_value_count(redis_value_at(value, 1)))
		return states;
	error_set(err, ERR_UNAVAILABLE, "redis answered \"%.40s\" for %zu messages", states,
	          push->count);
	return NULL;
}

static void on_pushed(void *arg, const struct redis_value *value, const struct error *failed)
{
	struct push *push = arg;
	struct error err;
	size_t next_outcome = 0;
	const char *states = push_states(push, value, failed, &err);
	bool ok = states != NULL;
	for (size_t i = 0; i < push->count; i++) {
		if (ok) {
			pushed_one(push, push->items[i], states[i], redis_value_at(value, 1),
			           &next_outcome);
		} else {
			struct answer what = { .kind = ANSWER_FAILED, .err = err };
			answer(push->items[i], &what);
		}
		push_ended(push->items[i]);
	}
	if (ok)
		places_deliver_all(&push->places, push->queue, redis_value_at(value, 2));
	places_end(&push->places, ok);
	free(push);
}

void queue_flush_pushes(struct queue *queue)
{
	struct queues *queues = queue->queues;
	if (queue->pushes != NULL)
		queue_enter(queue);
	while (queue->pushes != NULL) {
		size_t max =
		    queue->push_count < STORE_BATCH_MAX ? queue->push_count : STORE_BATCH_MAX;
		struct push *push = calloc(1, sizeof(*push) + max * sizeof(push->items[0]));
		struct store_item *items = calloc(max, sizeof(*items));
		struct store_special *specials = calloc(max, sizeof(*specials));
		ASSERT(push != NULL && items != NULL && specials != NULL);
		push->queue = queue;
		size_t bytes = 0, special_count = 0;
		while (push->count < max && bytes < BATCH_BYTES_MAX) {
			struct submission *item = queue->pushes;
			DL_DELETE(queue->pushes, item);
			queue->push_count--;
			items[push->count] =
			    (struct store_item){ item->id, item->record, item->record_len };
			if (item->priority > 0 || item->delay_ms > 0)
				specials[special_count++] =
				    (struct store_special){ push->count, item->priority,
					                    item->delay_ms };
			push->items[push->count++] = item;
			queue->pushing++;
			bytes += item->record_len;
		}
		places_take(queue, push->count, &push->places);
		store_push(queues->store, queue->keys, queue_limit(queue), push->places.runs,
		           push->places.run_count, specials, special_count, items, push->count,
		           on_pushed, push);
		free(specials);
		free(items);
	}
}

/* ---- outcomes that were not seen ---- */

struct check {
	struct queue *queue;
	size_t count;
	char ids[][MESSAGE_ID_SIZE];
};

static void on_checked(void *arg, const struct redis_value *value, const struct error *failed)
{
	struct check *check = arg;
	struct error err;
	bool ok = redis_check(value, "[ss]", failed, &err) &&
	          redis_value_count(value) == 2 * check->count;
	check->queue->checks--;
	if (!ok)
		check->queue->recheck = true;
	for (size_t i = 0; ok && i < check->count; i++) {
		size_t len = 0;
		char state = redis_value_string(redis_value_at(value, 2 * i), &len)[0];
		const char *detail = redis_value_string(redis_value_at(value, 2 * i + 1), &len);
		if (state == 'O')
			queue_answer_outcome(check->queue, check->ids[i], detail, len);
		if (state == 'X')
			queue_answer_dead(check->queue, check->ids[i], detail);
	}
	free(check);
}

void queue_check(struct queue *queue, const char *const *ids, size_t count)
{
	struct check *check = malloc(sizeof(*check) + count * sizeof(check->ids[0]));
	ASSERT(check != NULL);
	check->queue = queue;
	check->count = count;
	queue->checks++;
	for (size_t i = 0; i < count; i++) {
		ASSERT(strlen(ids[i]) < MESSAGE_ID_SIZE);
		strcpy(check->ids[i], ids[i]);
	}
	store_outcome(queue->queues->store, queue->keys, ids, count, on_checked, check);
}
