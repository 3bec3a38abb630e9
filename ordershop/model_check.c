#include "ordershop/model_check.h"

#include "ordershop/lines.h"
#include "proto/entities.pb-c.h"

#include <string.h>

enum { JSON_MAX = 2 * 1024 * 1024 };

/* One list of the model, compared element by element. */
struct checking {
	const struct memory_model *model;
	const struct fold *fold;
	const struct fold_topic *topic;
	const char *list; /* "unbilled"; of all entities the topic */
	bool (*belongs)(const struct checking *checking, const struct fold_entity *entity);
	struct buffer expected;
	struct entry_id last; /* creation of the one before */
	size_t seen;
	struct error *err;
	bool ok;
};

static bool living(const struct checking *checking, const struct fold_entity *entity)
{
	(void)checking;
	return !entity->deleted;
}

static const char *order_of(const struct fold_entity *entity, const char *topic)
{
	if (entity->deleted || entity->state == NULL)
		return "";
	return strcmp(topic, "billing") == 0 ? ((const Shop__Billing *)entity->state)->order_id
	                                     : ((const Shop__Shipping *)entity->state)->order_id;
}

static bool has_none(const struct checking *checking, const struct fold_entity *order,
                     const char *topic)
{
	const struct fold_topic *others = fold_topic_find(checking->fold, topic);
	if (order->deleted || order->state == NULL ||
	    ((const Shop__Order *)order->state)->status == SHOP__ORDER_STATUS__CANCELLED)
		return false;
	const struct fold_entity *other = others == NULL ? NULL : others->entities;
	while (other != NULL && strcmp(order_of(other, topic), order->id) != 0)
		other = other->hh.next;
	return other == NULL;
}

static bool unbilled(const struct checking *checking, const struct fold_entity *entity)
{
	return has_none(checking, entity, "billing");
}

static bool unshipped(const struct checking *checking, const struct fold_entity *entity)
{
	return has_none(checking, entity, "shipping");
}

static bool delivered(const struct checking *checking, const struct fold_entity *entity)
{
	(void)checking;
	return !entity->deleted && entity->state != NULL &&
	       ((const Shop__Shipping *)entity->state)->delivered != 0;
}

static void differs(struct checking *checking, const char *id, const char *how)
{
	if (checking->ok)
		(void)error_set(checking->err, ERR_INTERNAL, "the read model's list %s %s %s",
		                checking->list, how, id);
	checking->ok = false;
}

static void check_element(void *arg, const char *id, const char *json)
{
	struct checking *checking = arg;
	const struct fold_entity *entity = fold_find(checking->fold, checking->topic->name, id);
	checking->seen++;
	if (entity == NULL || !checking->belongs(checking, entity)) {
		differs(checking, id, "should not have");
		return;
	}
	buffer_clear(&checking->expected);
	fold_entity_write(entity, &checking->expected);
	if (strcmp(checking->expected.bytes, json) != 0)
		differs(checking, id, "has not the last state of");
	if (entity->was_deleted) /* it was created again later than the fold knows */
		return;
	if (entry_id_compare(checking->last, entity->first) > 0)
		differs(checking, id, "has too late");
	checking->last = entity->first;
}

static void check_list(struct checking *checking)
{
	size_t expected = 0;
	checking->seen = 0;
	checking->last = (struct entry_id){ 0 };
	if (strcmp(checking->list, "unbilled") == 0)
		memory_model_unbilled(checking->model, check_element, checking);
	else if (strcmp(checking->list, "unshipped") == 0)
		memory_model_unshipped(checking->model, check_element, checking);
	else if (strcmp(checking->list, "delivered") == 0)
		memory_model_delivered(checking->model, check_element, checking);
	else if (!memory_model_list(checking->model, checking->list, NULL, 0, check_element,
	                            checking, checking->err))
		checking->ok = false;
	for (const struct fold_entity *e = checking->topic->entities; e != NULL; e = e->hh.next)
		expected += checking->belongs(checking, e);
	if (checking->ok && expected != checking->seen)
		checking->ok = error_set(checking->err, ERR_INTERNAL,
		                         "the read model's list %s has %zu %s, by the log %zu",
		                         checking->list, checking->seen,
		                         plural(checking->seen, "entity", "entities"), expected);
}

static void count_mail(void *arg, const char *id, const char *json)
{
	(void)id;
	(void)json;
	++*(uint64_t *)arg;
}

static void check_mails(struct checking *checking)
{
	const struct fold_topic *topic = fold_topic_find(checking->fold, "mail");
	uint64_t there = 0, expected = topic == NULL ? 0 : topic->loose;
	memory_model_mails(checking->model, count_mail, &there);
	if (checking->ok && there != expected)
		checking->ok =
		    error_set(checking->err, ERR_INTERNAL,
		              "the read model has %llu %s, the log %llu", (unsigned long long)there,
		              plural(there, "mail", "mails"), (unsigned long long)expected);
}

bool model_equals_fold(const struct memory_model *model, const struct fold *fold, struct error *err)
{
	static const struct {
		const char *list, *topic;
		bool (*belongs)(const struct checking *checking, const struct fold_entity *entity);
	} lists[] = {
		{ "unbilled", "order", unbilled },
		{ "unshipped", "order", unshipped },
		{ "delivered", "shipping", delivered },
	};
	struct checking checking = { .model = model, .fold = fold, .err = err, .ok = true };
	buffer_init(&checking.expected, JSON_MAX);
	for (const struct fold_topic *topic = fold_topics(fold); topic != NULL && checking.ok;
	     topic = topic->hh.next) {
		checking.topic = topic;
		checking.list = topic->name;
		checking.belongs = living;
		if (topic->entities != NULL)
			check_list(&checking);
	}
	for (size_t i = 0; i < ARRAY_LEN(lists) && checking.ok; i++) {
		checking.topic = fold_topic_find(fold, lists[i].topic);
		checking.list = lists[i].list;
		checking.belongs = lists[i].belongs;
		if (checking.topic != NULL)
			check_list(&checking);
	}
	check_mails(&checking);
	buffer_free(&checking.expected);
	return checking.ok;
}
