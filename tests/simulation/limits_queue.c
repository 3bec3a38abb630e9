#include "message-queue/delivery.h"
#include "message-queue/store.h"

int limits_queue_outcome_s(void);
unsigned limits_queue_backoff_ms(unsigned attempt);

int limits_queue_outcome_s(void)
{
	return STORE_KEEP_OUTCOME_S;
}

/* The shortest. */
unsigned limits_queue_backoff_ms(unsigned attempt)
{
	return delivery_backoff_ms(attempt, 0);
}
