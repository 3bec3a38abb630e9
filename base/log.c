#include "base/log.h"

#include "base/clock.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 2048 };

static const char *const level_names[] = { "debug", "info", "warn", "error" };
static const char *log_service = "";
static enum log_level log_lowest = LOG_INFO;

void log_init(const char *service, enum log_level lowest)
{
	log_service = service;
	log_lowest = lowest;
}

/* Who aborts has come upon it in this thread, so what errno says is about it. */
static void on_abort(int number)
{
	(void)number;
	log_error("aborted", "reason=\"%s\"",
	          errno == ENOMEM ? "an allocation failed" : "see the line before");
}

void log_aborts(void)
{
	/* abort() ends the process when the handler returns. */
	sigaction(SIGABRT, &(struct sigaction){ .sa_handler = on_abort }, NULL);
}

static size_t bounded(int written, size_t room)
{
	if (written < 0)
		return 0;
	return (size_t)written < room ? (size_t)written : room - 1;
}

static size_t write_head(char *line, size_t size, enum log_level level, const char *event)
{
	uint64_t now_us = clock_wall_us();
	time_t seconds = (time_t)(now_us / 1000000);
	struct tm utc;
	gmtime_r(&seconds, &utc);
	char day[32];
	strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &utc);
	int len = snprintf(line, size, "%s.%06uZ %s event=%s", day, (unsigned)(now_us % 1000000),
	                   level_names[level], event);
	size_t used = bounded(len, size);
	if (log_service[0] != '\0')
		used += bounded(snprintf(line + used, size - used, " service=%s", log_service),
		                size - used);
	return used;
}

/* A line is one write, so lines of several threads and processes do not mix. */
void log_write(enum log_level level, const char *event, const char *format, ...)
{
	if (level < log_lowest)
		return;
	char line[LINE_MAX_BYTES + 1];
	size_t used = write_head(line, LINE_MAX_BYTES, level, event);
	line[used++] = ' ';
	size_t text = used;
	va_list args;
	va_start(args, format);
	used += bounded(vsnprintf(line + used, LINE_MAX_BYTES - used, format, args),
	                LINE_MAX_BYTES - used);
	va_end(args);
	if (used == text)
		used--;
	/* Values come from clients: none may begin a line of its own. */
	for (size_t i = text; i < used; i++) {
		if ((unsigned char)line[i] < ' ' || line[i] == 0x7F)
			line[i] = ' ';
	}
	line[used++] = '\n';
	/* A full disk or a closed pipe must not stop the service. */
	ssize_t ignored = write(STDERR_FILENO, line, used);
	(void)ignored;
}
