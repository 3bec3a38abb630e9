#include "gateway/gateway.h"
#include "base/clock.h"
#include "gateway/metrics.h"

#include <stdlib.h>
#include <string.h>

void exchange_done(struct exchange *exchange, int status)
{
	metrics_count(exchange->gateway->metrics, exchange->route, status,
	              clock_monotonic_us() - exchange->started_us);
	buffer_free(&exchange->text);
	free(exchange);
}

void exchange_answer(struct exchange *exchange, int status, const char *content_type,
                     struct buffer *body)
{
	http_answer(exchange->request, status, content_type, body, NULL);
	exchange_done(exchange, status);
}

void exchange_fail(struct exchange *exchange, const struct error *err)
{
	int status = error_http_status(err->code);
	http_answer_error(exchange->request, status, err->message);
	exchange_done(exchange, status);
}

void exchange_result(struct exchange *exchange, const char *json)
{
	struct buffer body;
	buffer_init(&body, ANSWER_MAX + 64);
	buffer_puts(&body, "{\"result\": ");
	buffer_puts(&body, json[0] != '\0' ? json : "null");
	buffer_putc(&body, '}');
	exchange_answer(exchange, 200, "application/json", &body);
}
