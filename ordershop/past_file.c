#include "ordershop/past_file.h"
#include "ordershop/export_fold.h"
#include "ordershop/past_show.h"

struct file {
	struct export_writer *writer;
	struct fold *fold;
};

static bool add(void *arg, const struct event *event, const char *data, struct error *err)
{
	struct file *file = arg;

	(void)err; /* told by export_finish */
	export_add(file->writer, event, data);
	fold_add(file->fold, event, data);
	return true;
}

static bool finish(struct file *file, const char *path, struct error *err)
{
	struct importer_group groups[PAST_GROUPS_MAX];
	struct export_group at_end[PAST_GROUPS_MAX];
	struct export_end end = { .groups = at_end };
	struct arena *arena = arena_create();
	size_t count = past_groups(groups);
	bool done;

	for (size_t i = 0; i < count; i++) {
		const struct fold_topic *topic = fold_topic_find(file->fold, groups[i].topic);
		char *last = arena_alloc(arena, ENTRY_ID_SIZE);

		if (topic == NULL)
			continue;
		entry_id_format(topic->last, last);
		at_end[end.group_count++] =
		    (struct export_group){ groups[i].topic, groups[i].group, last };
	}
	done = export_finish_fold(file->writer, file->fold, arena, &end, err);
	if (done)
		export_print_end(path, &end);
	arena_destroy(arena);
	return done;
}

bool past_file_write(const char *path, bool force, const struct past_source *source,
                     struct error *err)
{
	struct file file;
	bool done;

	if (!export_create(path, force, &file.writer, err))
		return false;
	file.fold = fold_create();
	done = past_show(source, add, &file, err) && finish(&file, path, err);
	export_destroy(file.writer);
	fold_destroy(file.fold);
	return done;
}
