/* routes.h - which request means what. Pure: one table, and the search in it. */
#ifndef GATEWAY_ROUTES_H
#define GATEWAY_ROUTES_H

#include "base/error.h"

enum route_action {
	ROUTE_PAGE,
	ROUTE_STYLE,
	ROUTE_SCRIPT,
	ROUTE_EVENTS,
	ROUTE_SUMMARY,
	ROUTE_HEALTH,
	ROUTE_METRICS,
	ROUTE_REPORT,
	ROUTE_REPORT_ORDERS,
	ROUTE_UNBILLED,
	ROUTE_UNSHIPPED,
	ROUTE_DELIVERED,
	ROUTE_MAILS,
	ROUTE_LIST,
	ROUTE_GET,
	ROUTE_CREATE,
	ROUTE_SEND,
	ROUTE_UPDATE,
	ROUTE_DELETE,
	ROUTE_ACTIONS
};

struct route_entity {
	const char *name; /* also its topic */
	const char *plural;
	const char *service; /* its queue's service and the functions in it */
	const char *create, *update, *remove;
};

/* In a pattern {X} stands for the name of an entity, {Xs} for its plural, {id} for anything. */
struct route {
	const char *method;
	const char *pattern;
	enum route_action action;
	const char *entity; /* of a pattern without {X} and {Xs}; else NULL */
};
extern const struct route routes[];
extern const size_t routes_count;
extern const struct route_entity route_entities[];
extern const size_t route_entities_count;

enum { ROUTE_ALLOW_SIZE = 64 };
struct route_match {
	const struct route *route;
	const struct route_entity *entity; /* of the path; NULL: none */
	const char *id;                    /* the rest of `path` after {X}/; NULL: none */
	char allow[ROUTE_ALLOW_SIZE];      /* "GET, HEAD, POST", when the method is wrong */
};

enum route_found { ROUTE_FOUND, ROUTE_UNKNOWN_PATH, ROUTE_WRONG_METHOD };
/* HEAD is found as GET. */
enum route_found route_find(const char *method, const char *path, struct route_match *match);

#endif
