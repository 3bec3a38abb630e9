/* mail.c - sends mails: each is an event `mail_sent` of topic mail.
 *
 * The event id follows from the message's, so a mail that is asked for twice by one message goes
 * out once. */
#include "domain/rules.h"
#include "domain/services.h"

#include "proto/entities.pb-c.h"

#include <string.h>

enum { RECIPIENT_MAX = 254, MESSAGE_MAX = 65536 };

static enum step send(struct context *context, const struct command *command)
{
	decide_true(context);
	const char *to = decide_text(context, command->params, "to");
	const char *message = to == NULL ? NULL : decide_text(context, command->params, "msg");
	if (message == NULL)
		return STEP_FAILED;
	if (text_length(to) > RECIPIENT_MAX)
		return decide_fail(context, ERR_INVALID,
		                   "to: must have 1 to %d characters, has %zu", RECIPIENT_MAX,
		                   text_length(to));
	if (strlen(message) > MESSAGE_MAX)
		return decide_fail(context, ERR_INVALID, "msg: must have 1 to %d bytes, has %zu",
		                   MESSAGE_MAX, strlen(message));
	if (command->applied)
		return STEP_DONE;
	Shop__Mail *mail = arena_alloc(context_arena(context), sizeof(*mail));
	shop__mail__init(mail);
	mail->recipient = to;
	mail->message = message;
	decide_event(context, "MailSent", "mail_sent", "mail", NULL, &mail->base);
	return STEP_DONE;
}

static const struct function functions[] = {
	{ .name = "send", .decide = send },
};

const struct service mail_service = {
	.name = "mail",
	.topic = "mail",
	.functions = functions,
	.function_count = ARRAY_LEN(functions),
};
