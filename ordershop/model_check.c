#include "ordershop/model_check.h"

#include <string.h>

enum { JSON_MAX = 2 * 1024 * 1024 };

static bool same_entity(const struct memory_model *model, const struct fold_entity *entity,
                        struct buffer *expected, struct buffer *actual)
{
	buffer_clear(expected);
	buffer_clear(actual);
	fold_entity_write(entity, expected);
	return memory_model_get(model, entity->topic->name, entity->id, actual) &&
	       strcmp(expected->bytes, actual->bytes) == 0;
}

bool model_equals_fold(const struct memory_model *model, const struct fold *fold, struct error *err)
{
	struct buffer expected, actual;
	bool ok = true;
	buffer_init(&expected, JSON_MAX);
	buffer_init(&actual, JSON_MAX);
	for (const struct fold_topic *topic = fold_topics(fold); ok && topic != NULL;
	     topic = topic->hh.next) {
		size_t there = memory_model_count(model, topic->name);
		if (there != topic->living)
			ok = error_set(err, ERR_INTERNAL,
			               "the read model has %zu entities of %s, the log %llu", there,
			               topic->name, (unsigned long long)topic->living);
		for (const struct fold_entity *e = topic->entities; ok && e != NULL;
		     e = e->hh.next) {
			if (!e->deleted && !same_entity(model, e, &expected, &actual))
				ok = error_set(err, ERR_INTERNAL,
				               "the read model has another %s %s than the log",
				               topic->name, e->id);
		}
	}
	buffer_free(&expected);
	buffer_free(&actual);
	return ok;
}
