#include "ordershop/past_store.h"
#include "ordershop/lines.h"
#include "ordershop/past_show.h"
#include "ordershop/rebuild.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { TOPICS_MAX = 16 };

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

static bool add(void *arg, const struct event *event, const char *data, struct error *err)
{
	return importer_add(arg, event, data, err);
}

/* What the rules refused will be refused again, so nobody needs to go on with it. Anything else was the store, which
 * may come back. Always false. */
static bool give_up(struct importer *importer, struct error *err)
{
	struct error ignored;

	if (importer_is_open(importer) && importer_abandon(importer, &ignored))
		return false;
	return error_wrap(err, "nothing of it can be seen yet, give the command again to go on, "
	                       "or with --abandon");
}

static bool write_all(struct importer *importer, const struct past_source *source,
                      struct error *err)
{
	struct importer_group groups[PAST_GROUPS_MAX];

	if (importer_was_finished(importer)) {
		fprintf(stderr, "all events were there already (%" PRIu64 ")\n",
		        importer_resumed(importer));
		return true;
	}
	if (!past_show(source, add, importer, err) ||
	    !importer_finish(importer, groups, past_groups(groups), err))
		return give_up(importer, err);
	if (importer_resumed(importer) > 0)
		fprintf(stderr, "%" PRIu64 " of them %s there already\n",
		        importer_resumed(importer),
		        plural(importer_resumed(importer), "was", "were"));
	return true;
}

bool past_store_write(struct client *client, const char *import_id,
                      const struct past_source *source, struct error *err)
{
	struct importer *importer;
	bool done;

	if (!begin(client, import_id, &importer, err))
		return false;
	done = write_all(importer, source, err);
	importer_destroy(importer);
	return done && rebuild_model(client, false, err);
}

bool past_store_abandon(struct client *client, const char *import_id, struct error *err)
{
	struct importer *importer;
	bool done;

	if (!begin(client, import_id, &importer, err))
		return false;
	done =
	    importer_was_finished(importer)
	        ? error_set(err, ERR_PRECONDITION, "nothing to abandon: it was written to its end")
	        : importer_abandon(importer, err);
	importer_destroy(importer);
	return done;
}
