#include "ordershop/past_show.h"
#include "base/clock.h"
#include "ordershop/lines.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
	SHOW_EVENTS = 1000, /* then the clock is looked at */
	SHOW_TTY_US = 100000,
	SHOW_LOG_US = 2000000,
};

struct showing {
	past_function *each;
	void *arg;
	uint64_t events, shown_us;
	bool tty;
};

static void show_progress(struct showing *showing, const char *entry_id)
{
	uint64_t now_us = clock_monotonic_us();
	char time[LINE_TIME_SIZE];
	struct entry_id id;
	struct error err;

	if (now_us - showing->shown_us < (showing->tty ? SHOW_TTY_US : SHOW_LOG_US) ||
	    !entry_id_parse(entry_id, &id, &err))
		return;
	showing->shown_us = now_us;
	fprintf(stderr, "%" PRIu64 " %s up to %.10s%s", showing->events,
	        plural(showing->events, "event", "events"), line_entry_time(id, time),
	        showing->tty ? "\r" : "\n");
	fflush(stderr);
}

static bool add(void *arg, const struct event *event, const char *data, struct error *err)
{
	struct showing *showing = arg;

	if (++showing->events % SHOW_EVENTS == 0)
		show_progress(showing, event->entry_id);
	return showing->each(showing->arg, event, data, err);
}

static void print_counts(const struct past_counts *counts, uint64_t took_us)
{
	char first[LINE_TIME_SIZE], last[LINE_TIME_SIZE];

	fprintf(stderr, "%" PRIu64 " %s from %.10s to %.10s: %" PRIu64 " %s in %.2f s, %.0f/s\n",
	        counts->orders, plural(counts->orders, "order", "orders"),
	        line_time(counts->first_us / 1000, first), line_time(counts->last_us / 1000, last),
	        counts->events, plural(counts->events, "event", "events"), (double)took_us / 1e6,
	        (double)counts->events * 1e6 / (double)(took_us + 1));
}

bool past_show(const struct past_source *source, past_function *each, void *arg, struct error *err)
{
	struct showing showing = { .each = each, .arg = arg, .tty = isatty(STDERR_FILENO) == 1 };
	uint64_t start_us = clock_monotonic_us();
	struct past_counts counts;

	showing.shown_us = start_us;
	if (!past_run(source, add, &showing, &counts, err))
		return false;
	print_counts(&counts, clock_monotonic_us() - start_us);
	return true;
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

size_t past_groups(struct importer_group groups[PAST_GROUPS_MAX])
{
	size_t count = 0;

	for (size_t i = 0; i < domain_service_count; i++) {
		const struct service *service = domain_services[i];

		for (size_t j = 0; j < service->saga_count; j++) {
			struct importer_group group = { service->sagas[j].topic, service->name,
				                        "" };

			if (has_group(groups, count, &group))
				continue;
			ASSERT(count < PAST_GROUPS_MAX);
			groups[count++] = group;
		}
	}
	return count;
}
