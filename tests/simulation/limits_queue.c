#include "message-queue/store.h"

int limits_queue_outcome_s(void);

int limits_queue_outcome_s(void)
{
	return STORE_KEEP_OUTCOME_S;
}
