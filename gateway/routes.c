#include "gateway/routes.h"

#include <stdio.h>
#include <string.h>

const struct route routes[] = {
	{ "GET", "/", ROUTE_PAGE, NULL },
	{ "GET", "/style.css", ROUTE_STYLE, NULL },
	{ "GET", "/app.js", ROUTE_SCRIPT, NULL },
	{ "GET", "/events", ROUTE_EVENTS, NULL },
	{ "GET", "/summary", ROUTE_SUMMARY, NULL },
	{ "GET", "/health", ROUTE_HEALTH, NULL },
	{ "GET", "/metrics", ROUTE_METRICS, NULL },
	{ "GET", "/report", ROUTE_REPORT, NULL },
	{ "GET", "/report/orders", ROUTE_REPORT_ORDERS, NULL },
	{ "GET", "/orders/unbilled", ROUTE_UNBILLED, NULL },
	{ "GET", "/orders/unshipped", ROUTE_UNSHIPPED, NULL },
	{ "GET", "/orders/delivered", ROUTE_DELIVERED, NULL },
	{ "GET", "/mails/sent", ROUTE_MAILS, NULL },
	{ "GET", "/inventory", ROUTE_LIST, "inventory" }, /* the original's second plural */
	{ "GET", "/{X}/{id}", ROUTE_GET, NULL },
	{ "PUT", "/{X}/{id}", ROUTE_UPDATE, NULL },
	{ "DELETE", "/{X}/{id}", ROUTE_DELETE, NULL },
	{ "POST", "/{X}", ROUTE_CREATE, NULL },
	{ "GET", "/{Xs}", ROUTE_LIST, NULL },
	{ "POST", "/{Xs}", ROUTE_SEND, NULL },
};
const size_t routes_count = ARRAY_LEN(routes);

#define ENTITY(name, plural)                                                                       \
	{                                                                                          \
		name, plural, name "-service", "create_" plural, "update_" name, "delete_" name    \
	}
const struct route_entity route_entities[] = {
	ENTITY("billing", "billings"),   ENTITY("cart", "carts"),
	ENTITY("customer", "customers"), ENTITY("inventory", "inventories"),
	ENTITY("order", "orders"),       ENTITY("product", "products"),
	ENTITY("shipping", "shippings"),
};
const size_t route_entities_count = ARRAY_LEN(route_entities);

static const struct route_entity *find_entity(const char *word, size_t len, bool plural)
{
	for (size_t i = 0; i < ARRAY_LEN(route_entities); i++) {
		const char *name = plural ? route_entities[i].plural : route_entities[i].name;
		if (strlen(name) == len && memcmp(name, word, len) == 0)
			return &route_entities[i];
	}
	return NULL;
}

static bool matches(const struct route *route, const char *path, struct route_match *match)
{
	const char *pattern = route->pattern;
	match->route = route;
	match->entity = NULL;
	match->id = NULL;
	if (strncmp(pattern, "/{", 2) != 0) {
		if (route->entity != NULL)
			match->entity = find_entity(route->entity, strlen(route->entity), false);
		return strcmp(pattern, path) == 0;
	}
	size_t len = strcspn(path + 1, "/");
	bool plural = pattern[3] == 's';
	const char *rest = path + 1 + len;
	match->entity = find_entity(path + 1, len, plural);
	if (match->entity == NULL)
		return false;
	if (strstr(pattern, "/{id}") == NULL)
		return *rest == '\0';
	if (rest[0] != '/' || rest[1] == '\0' || strchr(rest + 1, '/') != NULL)
		return false;
	match->id = rest + 1;
	return true;
}

static void allow(struct route_match *match, const char *method)
{
	size_t used = strlen(match->allow);
	snprintf(match->allow + used, sizeof(match->allow) - used, "%s%s%s", used > 0 ? ", " : "",
	         method, strcmp(method, "GET") == 0 ? ", HEAD" : "");
}

enum route_found route_find(const char *method, const char *path, struct route_match *match)
{
	if (strcmp(method, "HEAD") == 0)
		method = "GET";
	match->allow[0] = '\0';
	if (path[0] != '/')
		return ROUTE_UNKNOWN_PATH;
	const struct route_entity *entity = NULL;
	for (size_t i = 0; i < ARRAY_LEN(routes); i++) {
		if (!matches(&routes[i], path, match))
			continue;
		if (strcmp(routes[i].method, method) == 0)
			return ROUTE_FOUND;
		allow(match, routes[i].method);
		entity = match->entity;
	}
	match->entity = entity;
	return match->allow[0] != '\0' ? ROUTE_WRONG_METHOD : ROUTE_UNKNOWN_PATH;
}
