#include "domain/memory_shop_internal.h"

#define DELAY_US UINT64_C(1000000)
/* How old the saved checkpoint of a group may be. */
#define CHECKPOINT_US UINT64_C(100000)

static const char *const names[MEMORY_FAULTS] = {
	[MEMORY_STOP] = "stop",           [MEMORY_START] = "start",
	[MEMORY_KILL] = "kill",           [MEMORY_FREEZE] = "freeze",
	[MEMORY_DUPLICATE] = "duplicate", [MEMORY_DELAY] = "delay",
	[MEMORY_REORDER] = "reorder",     [MEMORY_LOSE_REPLY] = "lose_reply",
	[MEMORY_CRASH] = "crash",         [MEMORY_LOSE_OUTCOME] = "lose_outcome",
};

const char *memory_fault_name(enum memory_fault fault)
{
	ASSERT(fault < MEMORY_FAULTS);
	return names[fault];
}

bool memory_fault_stops(enum memory_fault fault)
{
	return fault == MEMORY_STOP || fault == MEMORY_KILL || fault == MEMORY_FREEZE;
}

bool fault_strikes(struct server *server, enum memory_fault fault)
{
	if (server->armed[fault] == 0)
		return false;
	server->armed[fault]--;
	return true;
}

bool fault_lets_deliver(struct memory_shop *shop, struct task *task, struct timer *timer,
                        void (*later)(struct memory_shop *shop, struct timer *timer))
{
	struct server *server = task->server;
	if (server->stopped || server->frozen) {
		shop_task_wait(task);
	} else if (fault_strikes(server, MEMORY_DELAY)) {
		shop_timer_set(shop, &shop->timers, timer, shop->clock_us + DELAY_US, later);
	} else if (shop->ring.count > 0 && fault_strikes(server, MEMORY_REORDER)) {
		shop_task_ready(shop, task);
	} else {
		return true;
	}
	return false;
}

void server_kill(struct memory_shop *shop, struct server *server)
{
	struct run *run, *next_run;
	struct reaction *reaction, *next;
	server->stopped = true;
	server->frozen = false;
	DL_FOREACH_SAFE(server->runs, run, next_run)
	{
		if (run->answer == NULL)
			shop_run_kill(shop, run);
	}
	DL_FOREACH_SAFE(server->reactions, reaction, next)
	{
		if (reaction->arena != NULL)
			reaction_return(shop, reaction);
	}
}

void server_start(struct memory_shop *shop, struct server *server)
{
	server->stopped = server->frozen = false;
	while (server->waiting != NULL)
		shop_task_ready(shop, server->waiting);
}

bool memory_shop_fault(struct memory_shop *shop, enum memory_fault fault, const char *service,
                       struct error *err)
{
	struct server *server = shop_server(shop, service);
	if (server == NULL)
		return error_set(err, ERR_NOT_FOUND, "there is no service %.64s", service);
	if (fault == MEMORY_STOP)
		server->stopped = true;
	else if (fault == MEMORY_START)
		server_start(shop, server);
	else if (fault == MEMORY_KILL)
		server_kill(shop, server);
	else if (fault == MEMORY_FREEZE)
		server->frozen = true;
	else
		server->armed[fault]++;
	return true;
}

void memory_shop_restart_redis(struct memory_shop *shop)
{
	messages_redeliver(shop);
	for (size_t i = 0; i < shop->group_count; i++) {
		struct group *group = &shop->groups[i];
		for (size_t j = 0; j < RECENT_MAX; j++) {
			size_t place = (group->recent_next + j) % RECENT_MAX;
			struct logged *logged = group->recent[place].logged;
			if (logged == NULL)
				continue;
			if (group->recent[place].at_us + CHECKPOINT_US > shop->clock_us)
				reaction_create(shop, group, group->recent[place].saga, logged,
				                true);
			group->recent[place].logged = NULL;
			logged_unref(shop, logged);
		}
	}
}
