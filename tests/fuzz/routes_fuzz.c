/* "METHOD /path": whatever is found makes sense to the gateway. */
#include "tests/fuzz/fuzz.h"
#include "gateway/routes.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	/* As HTTP gives them: without NUL, and the path decoded. */
	char *method = calloc(1, len + 2);
	ASSERT(method != NULL);
	memcpy(method, bytes, len);
	char *path = strchr(method, ' ');
	if (path == NULL)
		path = method + strlen(method);
	else
		*path++ = '\0';
	struct route_match match;
	switch (route_find(method, path, &match)) {
	case ROUTE_FOUND:
		ASSERT((strstr(match.route->pattern, "{X") != NULL) <= (match.entity != NULL));
		ASSERT((strstr(match.route->pattern, "{id}") != NULL) == (match.id != NULL));
		ASSERT(match.id == NULL || (match.id[0] != '\0' && match.id > path));
		break;
	case ROUTE_WRONG_METHOD:
		ASSERT(strlen(match.allow) > 0 && strlen(match.allow) < ROUTE_ALLOW_SIZE - 1);
		break;
	case ROUTE_UNKNOWN_PATH:
		break;
	}
	free(method);
	return 0;
}
