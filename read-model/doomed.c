#include "read-model/service_internal.h"

#include "base/clock.h"
#include "base/log.h"

#include <inttypes.h>
#include <stdlib.h>
#include <utlist.h>

enum { RETRY_MS = 1000 };

struct doomed {
	struct doomed_list *list;
	uint64_t number;
	uint64_t at_us;
	bool marked; /* Redis said so in the last look */
	bool under_way;
	struct doomed *prev, *next;
};

struct doomed_list {
	struct read_model *model;
	struct doomed *first;
};

static void forget(struct doomed *doomed)
{
	DL_DELETE(doomed->list->first, doomed);
	free(doomed);
}

static void drop_done(void *arg, const struct error *err)
{
	struct doomed *doomed = arg;
	doomed->under_way = false;
	if (err != NULL) {
		doomed->at_us = clock_monotonic_us() + RETRY_MS * 1000ULL;
		return;
	}
	log_info("generation_dropped", "generation=%" PRIu64, doomed->number);
	forget(doomed);
}

static void mark(struct doomed_list *list, uint64_t number)
{
	struct doomed *doomed;
	DL_SEARCH_SCALAR(list->first, doomed, number, number);
	if (doomed == NULL) {
		doomed = calloc(1, sizeof(*doomed));
		ASSERT(doomed != NULL);
		doomed->list = list;
		doomed->number = number;
		doomed->at_us = clock_monotonic_us() + GENERATION_GRACE_MS * 1000ULL;
		DL_APPEND(list->first, doomed);
	}
	doomed->marked = true;
}

void doomed_list_note(struct doomed_list *list, const struct model_generations *found)
{
	struct doomed *doomed, *next;
	DL_FOREACH(list->first, doomed)
	{
		doomed->marked = false;
	}
	for (size_t i = 0; i < found->dropped_count; i++)
		mark(list, found->dropped[i]);
	DL_FOREACH_SAFE(list->first, doomed, next)
	{
		if (doomed->under_way)
			continue;
		if (!doomed->marked) { /* another process was faster */
			forget(doomed);
		} else if (clock_monotonic_us() >= doomed->at_us) {
			doomed->under_way = true;
			model_generation_drop(list->model->redis, doomed->number, drop_done,
			                      doomed);
		}
	}
}

struct doomed_list *doomed_list_create(struct read_model *model)
{
	struct doomed_list *list = calloc(1, sizeof(*list));
	ASSERT(list != NULL);
	list->model = model;
	return list;
}

void doomed_list_destroy(struct doomed_list *list)
{
	if (list == NULL)
		return;
	while (list->first != NULL)
		forget(list->first);
	free(list);
}
