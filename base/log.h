/* log.h - one line per event on standard error: `time level event=... key=value ...`.
 *
 * The first argument is the event's name; the rest is a printf format of key=value pairs.
 * Values with spaces are quoted by the caller: key=\"%s\". */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/error.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

/* Puts service=NAME on every line. `service` must outlive the process. */
void log_init(const char *service, enum log_level lowest);
/* From now on the process says in a last line that it was aborted, and whether memory was missing. */
void log_aborts(void);
void log_write(enum log_level level, const char *event, const char *format, ...) PRINTF(3, 4);

#define log_debug(event, ...) log_write(LOG_DEBUG, event, __VA_ARGS__)
#define log_info(event, ...)  log_write(LOG_INFO, event, __VA_ARGS__)
#define log_warn(event, ...)  log_write(LOG_WARN, event, __VA_ARGS__)
#define log_error(event, ...) log_write(LOG_ERROR, event, __VA_ARGS__)

#endif
