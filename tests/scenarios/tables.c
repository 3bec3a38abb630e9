/* tables - what the scenarios must cover, out of the tables of the shop: prints "function service.name",
 * "move FROM TO" and "fault name", each on a line. */
#include "domain/order_status.h"
#include "ordershop/scenario.h"

#include <stdio.h>

static void print_functions(const struct service *service)
{
	for (size_t i = 0; i < service->function_count; i++) {
		if (!service->functions[i].local)
			printf("function %s.%s\n", service->name, service->functions[i].name);
	}
}

static void print_moves(Shop__OrderStatus from)
{
	for (int move = 0; move < ORDER_MOVES; move++) {
		Shop__OrderStatus to;
		struct error err;
		if (order_status_next(from, (enum order_move)move, &to, &err))
			printf("move %s %s\n", order_status_name(from), order_status_name(to));
	}
}

int main(void)
{
	for (size_t i = 0; i < domain_service_count; i++)
		print_functions(domain_services[i]);
	for (int from = 0; from < ORDER_STATUSES; from++)
		print_moves((Shop__OrderStatus)from);
	for (int fault = 0; fault < FAULT_KINDS; fault++)
		printf("fault %s\n", scenario_fault_name(fault));
	return 0;
}
