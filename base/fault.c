#include "base/fault.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct {
	bool read;
	char name[64]; /* empty: none */
	unsigned long left;
} fault;

static void read_environment(void)
{
	const char *text = getenv("ORDERSHOP_FAULT");
	fault.read = true;
	if (text == NULL)
		return;
	const char *colon = strchr(text, ':');
	size_t len = colon == NULL ? strlen(text) : (size_t)(colon - text);
	snprintf(fault.name, sizeof(fault.name), "%.*s", (int)len, text);
	fault.left = colon == NULL ? 1 : strtoul(colon + 1, NULL, 10);
}

void fault_pass(const char *name)
{
	if (!fault.read)
		read_environment();
	if (fault.name[0] != '\0' && strcmp(fault.name, name) == 0 && --fault.left == 0)
		_exit(FAULT_EXIT_STATUS);
}
