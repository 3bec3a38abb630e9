#include "ordershop/export_fold.h"

#include "ordershop/lines.h"

#include <inttypes.h>
#include <stdio.h>

bool export_finish_fold(struct export_writer *writer, const struct fold *fold, struct arena *arena,
                        struct export_end *end, struct error *err)
{
	struct export_topic *topics;
	size_t count = 0;

	for (const struct fold_topic *t = fold_topics(fold); t != NULL; t = t->hh.next)
		count++;
	topics = arena_zalloc(arena, (count + 1) * sizeof(*topics));
	for (const struct fold_topic *t = fold_topics(fold); t != NULL; t = t->hh.next)
		topics[end->topic_count++] = (struct export_topic){
			.name = t->name, .events = t->events, .first = t->first, .last = t->last
		};
	end->topics = topics;
	fold_hash(fold, end->state_hash);
	return export_finish(writer, end, err);
}

void export_print_end(const char *path, const struct export_end *end)
{
	printf("%s: %" PRIu64 " %s of %zu %s\nlog hash   %s\nstate hash %s\n", path, end->events,
	       plural(end->events, "event", "events"), end->topic_count,
	       plural(end->topic_count, "topic", "topics"), end->log_hash, end->state_hash);
}
