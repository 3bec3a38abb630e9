#include "ordershop/scenario_shop.h"

#include "ordershop/event_line.h"

#include <string.h>

enum { METADATA_MAX = 256, ESCAPE_MAX = 6 };

const char *shop_metadata(struct arena *arena, const char *correlation_id, const char *actor)
{
	struct buffer text;
	buffer_init(&text, METADATA_MAX + ESCAPE_MAX * (actor == NULL ? 0 : strlen(actor)));
	buffer_printf(&text, "{\"correlation_id\":\"%s\"", correlation_id);
	if (actor != NULL) {
		buffer_puts(&text, ",\"actor\":");
		json_write_string(&text, actor, strlen(actor));
	}
	buffer_putc(&text, '}');
	ASSERT(!text.overflow);
	const char *metadata = arena_copy(arena, text.bytes, text.len);
	buffer_free(&text);
	return metadata;
}

void texts_add(struct texts *texts, const char *text)
{
	if (texts->count == texts->capacity) {
		size_t capacity = texts->capacity > 0 ? 2 * texts->capacity : 64;
		const char **more = arena_alloc(texts->arena, capacity * sizeof(*more));
		if (texts->count > 0)
			memcpy(more, texts->texts, texts->count * sizeof(*more));
		texts->texts = more;
		texts->capacity = capacity;
	}
	texts->texts[texts->count++] = arena_strdup(texts->arena, text);
}

void shop_event_write(struct buffer *out, const struct shop_event *event)
{
	struct event line = { .topic = event->topic,
		              .entry_id = event->entry_id,
		              .event_id = event->event_id,
		              .action = event->action,
		              .type = event->type,
		              .entity_id = event->entity_id,
		              .version = event->version,
		              .metadata = event->metadata };
	event_line_write(out, &line, event->data);
}
