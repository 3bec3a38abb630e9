/* scenario_words.c - the single values of a scenario file. */
#include "base/when.h"
#include "ordershop/command.h"
#include "ordershop/scenario_internal.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_MAX_LENGTH = 64, TITLE_MAX = 200 };

/* The first word of an event's type, and its topic. */
static const struct {
	const char *word, *topic;
} topics[] = {
	{ "Customer", "customer" }, { "Product", "product" },   { "Inventory", "inventory" },
	{ "Stock", "inventory" },   { "Cart", "cart" },         { "Order", "order" },
	{ "Billing", "billing" },   { "Shipping", "shipping" }, { "Mail", "mail" },
};

const char *scenario_topic_of(const char *event_type)
{
	for (size_t i = 0; i < ARRAY_LEN(topics); i++) {
		if (strncmp(event_type, topics[i].word, strlen(topics[i].word)) == 0)
			return topics[i].topic;
	}
	return NULL;
}

bool scenario_topic_is(const char *topic)
{
	for (size_t i = 0; i < ARRAY_LEN(topics); i++) {
		if (strcmp(topics[i].topic, topic) == 0)
			return true;
	}
	return false;
}

bool scenario_is_entity(const char *topic)
{
	return scenario_topic_is(topic) && strcmp(topic, "mail") != 0;
}

int reader_word(struct reader *reader, const struct node *node, const char *const *names,
                size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(node->text, names[i]) == 0)
			return (int)i;
	}
	char hint[HINT_SIZE];
	node_fail(node, reader->err, "%s: there is no '%.60s'%s", node->key, node->text,
	          closest_hint(hint, node->text, names, count));
	return -1;
}

bool reader_title(struct reader *reader, const struct node *node, const char **out)
{
	size_t len = strlen(node->text);
	if (len < 1 || len > TITLE_MAX || strpbrk(node->text, "\r\n") != NULL)
		return node_fail(node, reader->err, "%s: must be one line of 1 to %d bytes",
		                 node->key, TITLE_MAX);
	*out = node->text;
	return true;
}

bool reader_number(struct reader *reader, const struct node *node, int64_t min, int64_t max,
                   int64_t *out)
{
	char *end;
	long long number = strtoll(node->text, &end, 10);
	if (node->kind != NODE_TEXT || node->text[0] == '\0' || *end != '\0' || number < min ||
	    number > max)
		return node_fail(node, reader->err, "%s: must be a whole number of %lld to %lld",
		                 node->key, (long long)min, (long long)max);
	*out = number;
	return true;
}

static bool name_valid(const char *text)
{
	size_t len = strlen(text);
	for (const char *c = text; *c != '\0'; c++) {
		if (!isalnum((unsigned char)*c) && *c != '_' && *c != '-')
			return false;
	}
	return len >= 1 && len <= NAME_MAX_LENGTH;
}

bool reader_name(struct reader *reader, const struct node *node)
{
	if (node->kind == NODE_TEXT && name_valid(node->text))
		return true;
	return node_fail(node, reader->err, "a name must be 1 to %d letters, digits, '_' or '-'",
	                 NAME_MAX_LENGTH);
}

uint64_t reader_span(const char *text)
{
	uint64_t ms;
	return when_span_parse(text, MEMORY_SHOP_END_US / 1000, &ms) ? ms * 1000 : 0;
}

/* 0: it is none, or no date. */
static uint64_t time_us(const char *text)
{
	struct when when;
	struct error err;
	if (!when_parse(text, 0, &when, &err) || when.entry_id[0] != '\0')
		return 0;
	return when.time_ms * 1000 + when.time_us;
}

bool reader_time(struct reader *reader, const struct node *node, uint64_t *us)
{
	*us = time_us(node->text);
	if (*us > 0)
		return true;
	return node_fail(node, reader->err,
	                 "%s: must be a time such as 2026-01-01T00:00:00Z%s, is \"%.60s\"",
	                 node->key, strcmp(node->key, "at") == 0 ? " or +90s" : "", node->text);
}
