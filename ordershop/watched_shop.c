#include "ordershop/watched_shop.h"

#include "base/array.h"
#include "base/json.h"
#include "ordershop/model_check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	DATA_MAX = 2 * 1024 * 1024,
	WINDOW_MAX = 64,
	/* How long somebody waits for an answer, by the virtual clock. */
	ANSWER_US = 30 * 1000000,
};

/* ---- The read model ---------------------------------------------------------------------- */

static void draw_window(struct watched *watched)
{
	/* An own generator: the shop's must not depend on who watches it. */
	watched->random = watched->random * UINT64_C(6364136223846793005) + 1442695040888963407;
	watched->window = 1 + (size_t)(watched->random >> 33) % WINDOW_MAX;
}

void watched_project(struct watched *watched)
{
	if (watched->event_count > 0)
		memory_model_apply(watched->model, watched->events, watched->event_count);
	watched->event_count = 0;
	arena_reset(watched->arena);
	draw_window(watched);
}

static void keep_event(struct watched *watched, const struct event *event)
{
	struct arena *arena = watched->arena;
	watched->events =
	    array_grown(watched->events, watched->event_count, sizeof(*watched->events));
	watched->events[watched->event_count++] = (struct projection_event){
		.topic = arena_strdup(arena, event->topic),
		.entry_id = arena_strdup(arena, event->entry_id),
		.event_id = arena_strdup(arena, event->event_id),
		.action = arena_strdup(arena, event->action),
		.data = arena_copy(arena, watched->data.bytes, watched->data.len),
		.entity_id = event->entity_id == NULL ? "" : arena_strdup(arena, event->entity_id),
		.version = event->version,
	};
	if (watched->event_count == watched->window)
		watched_project(watched);
}

void watched_check_model(struct watched *watched)
{
	struct error err;
	watched_project(watched);
	if (watched->finding.invariant[0] != '\0' ||
	    model_equals_fold(watched->model, invariants_fold(watched->invariants), &err))
		return;
	strcpy(watched->finding.invariant, "read-model");
	snprintf(watched->finding.what, sizeof(watched->finding.what), "%s", err.message);
}

/* ---- The log ----------------------------------------------------------------------------- */

static void violated(void *arg, const struct violation *violation)
{
	struct finding *finding = &((struct watched *)arg)->finding;
	char entry_id[ENTRY_ID_SIZE];
	if (finding->invariant[0] != '\0')
		return;
	entry_id_format(violation->entry, entry_id);
	snprintf(finding->invariant, sizeof(finding->invariant), "%s", violation->invariant->name);
	snprintf(finding->what, sizeof(finding->what), "%s %s after %s: %s", violation->topic,
	         violation->entity_id, entry_id, violation->message);
}

static void appended(void *arg, const struct event *event)
{
	struct watched *watched = arg;
	buffer_clear(&watched->data);
	json_write_message(&watched->data, event->state);
	ASSERT(!watched->data.overflow);
	if (watched->appended != NULL)
		watched->appended(watched->arg, event, watched->data.bytes);
	keep_event(watched, event);
	invariants_add(watched->invariants, event, NULL);
}

void watched_open(struct watched *watched, uint64_t start_us, uint64_t seed,
                  const struct cast *cast)
{
	*watched = (struct watched){ .shop = memory_shop_create(seed, start_us), .random = seed };
	watched->invariants = invariants_create(violated, watched);
	watched->model = memory_model_create();
	watched->arena = arena_create();
	buffer_init(&watched->data, DATA_MAX);
	draw_window(watched);
	if (cast != NULL)
		memory_shop_use(watched->shop, cast->services, cast->count);
	memory_shop_watch(watched->shop, appended, watched);
}

void watched_close(struct watched *watched)
{
	memory_shop_destroy(watched->shop);
	memory_model_destroy(watched->model);
	invariants_destroy(watched->invariants);
	buffer_free(&watched->data);
	free(watched->events);
	arena_destroy(watched->arena);
}

/* ---- What happens ------------------------------------------------------------------------ */

void watched_rest(struct watched *watched)
{
	memory_shop_settle(watched->shop);
	if (!memory_shop_settled(watched->shop))
		return;
	watched->rests++;
	invariants_rest(watched->invariants);
}

void watched_pass(struct watched *watched, uint64_t us)
{
	watched_rest(watched);
	memory_shop_advance(watched->shop, us);
	watched_rest(watched);
}

struct answer watched_answer(struct watched *watched, const char *message_id)
{
	struct memory_shop *shop = watched->shop;
	uint64_t deadline = memory_shop_clock(shop) + ANSWER_US;
	struct answer answer = { .result = NULL };
	while (!memory_shop_outcome(shop, message_id, &answer)) {
		if (memory_shop_clock(shop) >= deadline) {
			error_set(&answer.error, ERR_DEADLINE, "no answer within %d s",
			          ANSWER_US / 1000000);
			return answer;
		}
		if (!memory_shop_step(shop, 1) && !memory_shop_outcome(shop, message_id, &answer) &&
		    !memory_shop_wait(shop))
			memory_shop_set_clock(shop, deadline);
	}
	return answer;
}
