#include "ordershop/export_file.h"
#include "ordershop/out_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

enum { OUT_SIZE = 256 * 1024, CHECK_SIZE = 9 };

struct export_writer {
	char path[PATH_MAX], partial[PATH_MAX];
	int file;
	int failure; /* errno of the first write that failed */
	ZSTD_CCtx *zstd;
	char *out;
	struct buffer line;
	struct log_hash *hash;
	uint64_t events;
};

static void write_out(struct export_writer *writer, size_t len)
{
	for (size_t done = 0; done < len && writer->failure == 0;) {
		ssize_t count = write(writer->file, writer->out + done, len - done);

		if (count >= 0)
			done += (size_t)count;
		else if (errno != EINTR)
			writer->failure = errno;
	}
}

static void compress(struct export_writer *writer, const char *bytes, size_t len,
                     ZSTD_EndDirective mode)
{
	ZSTD_inBuffer in = { bytes, len, 0 };
	size_t left;

	do {
		ZSTD_outBuffer out = { writer->out, OUT_SIZE, 0 };

		left = ZSTD_compressStream2(writer->zstd, &out, &in, mode);
		ASSERT(!ZSTD_isError(left));
		write_out(writer, out.pos);
	} while (mode == ZSTD_e_end ? left > 0 : in.pos < in.size);
}

/* The line with its check as the last member. */
static void put_line(struct export_writer *writer, const struct log_hash *hash)
{
	struct buffer *line = &writer->line;
	char text[DIGEST_TEXT_SIZE];

	ASSERT(!line->overflow && line->bytes[line->len - 1] == '}');
	log_hash_text(hash, text);
	text[CHECK_SIZE - 1] = '\0';
	line->len--;
	buffer_printf(line, ",\"check\":\"%s\"}\n", text);
	compress(writer, line->bytes, line->len, ZSTD_e_continue);
	buffer_clear(line);
}

static void put_first_line(struct export_writer *writer)
{
	struct log_hash *hash = log_hash_create();

	buffer_printf(&writer->line, "{\"format\":\"ordershop-log\",\"version\":1}");
	log_hash_add(hash, writer->line.bytes, writer->line.len);
	put_line(writer, hash);
	log_hash_destroy(hash);
}

static bool open_file(struct export_writer *writer, const char *path, bool force, struct error *err)
{
	int path_len = snprintf(writer->path, sizeof(writer->path), "%s", path);
	int len = snprintf(writer->partial, sizeof(writer->partial), "%s.partial", path);

	if (path_len >= PATH_MAX || len >= PATH_MAX)
		return error_set(err, ERR_INVALID, "%.60s...: the path is too long", path);
	if (!out_file_check(path, err))
		return false;
	if (!force && access(path, F_OK) == 0)
		return error_set(err, ERR_EXISTS, "%s exists; --force replaces it", path);
	writer->file = open(writer->partial, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (writer->file < 0)
		return error_set(err, ERR_INVALID, "%s: %s", writer->partial, strerror(errno));
	return true;
}

bool export_create(const char *path, bool force, struct export_writer **out, struct error *err)
{
	struct export_writer *writer = calloc(1, sizeof(*writer));

	ASSERT(writer);
	writer->file = -1;
	buffer_init(&writer->line, EVENT_LINE_MAX);
	writer->hash = log_hash_create();
	writer->zstd = ZSTD_createCCtx();
	writer->out = malloc(OUT_SIZE);
	ASSERT(writer->zstd && writer->out);
	if (!open_file(writer, path, force, err)) {
		export_destroy(writer);
		return false;
	}
	(void)ZSTD_CCtx_setParameter(writer->zstd, ZSTD_c_checksumFlag, 1);
	put_first_line(writer);
	*out = writer;
	return true;
}

void export_add(struct export_writer *writer, const struct event *event, const char *data)
{
	event_line_write(&writer->line, event, data);
	log_hash_add(writer->hash, writer->line.bytes, writer->line.len);
	put_line(writer, writer->hash);
	writer->events++;
}

static void put_topics(struct buffer *line, const struct export_end *end)
{
	char first[ENTRY_ID_SIZE], last[ENTRY_ID_SIZE];

	for (size_t i = 0; i < end->topic_count; i++) {
		const struct export_topic *topic = &end->topics[i];

		entry_id_format(topic->first, first);
		entry_id_format(topic->last, last);
		buffer_puts(line, i > 0 ? ",{\"topic\":" : "{\"topic\":");
		json_write_string(line, topic->name, strlen(topic->name));
		buffer_printf(line,
		              ",\"events\":%" PRIu64 ",\"first_id\":\"%s\",\"last_id\":\"%s\"}",
		              topic->events, first, last);
	}
}

static void put_groups(struct buffer *line, const struct export_end *end)
{
	static const char *const names[] = { "topic", "group", "checkpoint" };

	for (size_t i = 0; i < end->group_count; i++) {
		const char *const values[] = { end->groups[i].topic, end->groups[i].name,
			                       end->groups[i].checkpoint };
		for (size_t j = 0; j < ARRAY_LEN(names); j++) {
			buffer_printf(line, "%s\"%s\":",
			              j > 0   ? ","
			              : i > 0 ? ",{"
			                      : "{",
			              names[j]);
			json_write_string(line, values[j], strlen(values[j]));
		}
		buffer_putc(line, '}');
	}
}

static void put_last_line(struct export_writer *writer, struct export_end *end)
{
	struct buffer *line = &writer->line;

	end->events = writer->events;
	log_hash_text(writer->hash, end->log_hash);
	buffer_printf(line,
	              "{\"end\":{\"events\":%" PRIu64 ",\"log_hash\":\"%s\",\"state_hash\":\"%s\","
	              "\"topics\":[",
	              end->events, end->log_hash, end->state_hash);
	put_topics(line, end);
	buffer_puts(line, "],\"groups\":[");
	put_groups(line, end);
	buffer_puts(line, "]}}");
	log_hash_add(writer->hash, line->bytes, line->len);
	put_line(writer, writer->hash);
	compress(writer, "", 0, ZSTD_e_end);
}

/* The name must be on disk too. */
static bool sync_folder(const char *path)
{
	char copy[PATH_MAX];
	int folder;
	bool done;

	snprintf(copy, sizeof(copy), "%s", path);
	folder = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	done = folder >= 0 && fsync(folder) == 0;
	if (folder >= 0)
		close(folder);
	return done;
}

bool export_finish(struct export_writer *writer, struct export_end *end, struct error *err)
{
	put_last_line(writer, end);
	if (writer->failure == 0 && fsync(writer->file) != 0)
		writer->failure = errno;
	if (writer->failure == 0 && rename(writer->partial, writer->path) != 0)
		writer->failure = errno;
	if (writer->failure != 0)
		return error_set(err, ERR_INTERNAL, "%s: %s", writer->partial,
		                 strerror(writer->failure));
	close(writer->file);
	writer->file = -1;
	if (!sync_folder(writer->path))
		return error_set(err, ERR_INTERNAL, "%s: the folder cannot be synced: %s",
		                 writer->path, strerror(errno));
	return true;
}

void export_destroy(struct export_writer *writer)
{
	if (writer == NULL)
		return;
	if (writer->file >= 0) {
		close(writer->file);
		unlink(writer->partial);
	}
	buffer_free(&writer->line);
	log_hash_destroy(writer->hash);
	ZSTD_freeCCtx(writer->zstd);
	free(writer->out);
	free(writer);
}
