#include "message-queue/service_internal.h"

void compat_add(struct message_queue *service)
{
	(void)service;
}
