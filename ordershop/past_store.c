#include "ordershop/past_store.h"
#include "base/clock.h"
#include "ordershop/importer.h"
#include "ordershop/lines.h"
#include "ordershop/rebuild.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { TOPICS_MAX = 16, GROUPS_MAX = 64 };

static bool has_topic(const char *const *topics, size_t count, const char *topic)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(topics[i], topic) == 0)
			return true;
	}
	return false;
}

static bool begin(struct client *client, const char *import_id, struct importer **out,
                  struct error *err)
{
	const char *topics[TOPICS_MAX];
	size_t count = 0;

	for (size_t i = 0; i < domain_service_count; i++) {
		const char *topic = domain_services[i]->topic;

		if (!topic || has_topic(topics, count, topic))
			continue;
		ASSERT(count < TOPICS_MAX);
		topics[count++] = topic;
	}
	return importer_begin(client, import_id, topics, count, out, err);
}

static bool add(void *importer, const struct event *event, const char *data, struct error *err)
{
	return importer_add(importer, event, data, err);
}

static bool has_group(const struct importer_group *groups, size_t count,
                      const struct importer_group *group)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(groups[i].topic, group->topic) == 0 &&
		    strcmp(groups[i].group, group->group) == 0)
			return true;
	}
	return false;
}

/* A service has a group, of its own name, in each topic to whose events it reacts. */
static size_t find_groups(struct importer_group groups[GROUPS_MAX])
{
	size_t count = 0;

	for (size_t i = 0; i < domain_service_count; i++) {
		const struct service *service = domain_services[i];

		for (size_t j = 0; j < service->saga_count; j++) {
			struct importer_group group = { service->sagas[j].topic, service->name,
				                        "" };

			if (has_group(groups, count, &group))
				continue;
			ASSERT(count < GROUPS_MAX);
			groups[count++] = group;
		}
	}
	return count;
}

/* After a failure: what the rules refused will be refused again, so nobody needs to go on with it. */
static void give_up(struct importer *importer)
{
	struct error err;

	if (importer_is_open(importer) && !importer_abandon(importer, &err))
		fprintf(stderr, "%s; --abandon unlocks the topics\n", err.message);
}

static void print_counts(const struct past_counts *counts, const struct importer *importer,
                         uint64_t took_us)
{
	char first[LINE_TIME_SIZE], last[LINE_TIME_SIZE];

	fprintf(stderr,
	        "%" PRIu64 " orders from %.10s to %.10s: %" PRIu64 " events in %.2f s, %.0f/s%s\n",
	        counts->orders, line_time(counts->first_us / 1000, first),
	        line_time(counts->last_us / 1000, last), counts->events, (double)took_us / 1e6,
	        (double)counts->events * 1e6 / (double)(took_us + 1),
	        importer_was_finished(importer) ? "; they were there already" : "");
}

bool past_store_write(struct client *client, const char *import_id,
                      const struct past_source *source, struct error *err)
{
	uint64_t start_us = clock_monotonic_us();
	struct importer_group groups[GROUPS_MAX];
	struct past_counts counts;
	struct importer *importer;
	bool done;

	if (!begin(client, import_id, &importer, err))
		return false;
	done = past_run(source, add, importer, &counts, err);
	if (!done)
		give_up(importer);
	done = done && importer_finish(importer, groups, find_groups(groups), err);
	if (done)
		print_counts(&counts, importer, clock_monotonic_us() - start_us);
	importer_destroy(importer);
	return done && rebuild_model(client, false, err);
}

bool past_store_abandon(struct client *client, const char *import_id, struct error *err)
{
	struct importer *importer;
	bool done;

	if (!begin(client, import_id, &importer, err))
		return false;
	done = importer_abandon(importer, err);
	importer_destroy(importer);
	return done;
}
