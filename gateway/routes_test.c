#include "gateway/routes.h"
#include "tests/support/suite.h"

#include <check.h>
#include <string.h>

static const char id[] = "8a55c38b-0b0f-4f5e-8a55-c38b9e6f30c1";

static struct route_match find(const char *method, const char *path, enum route_found expected)
{
	struct route_match match;
	ck_assert_msg(route_find(method, path, &match) == expected, "%s %s", method, path);
	return match;
}

START_TEST(every_row_is_found_by_its_own_pattern)
{
	for (size_t i = 0; i < routes_count; i++) {
		for (size_t e = 0; e < route_entities_count; e++) {
			char path[100] = "/";
			const char *pattern = routes[i].pattern;
			bool plural = strncmp(pattern, "/{Xs}", 5) == 0;
			if (strncmp(pattern, "/{", 2) != 0) {
				strcpy(path, pattern);
			} else {
				strcat(path,
				       plural ? route_entities[e].plural : route_entities[e].name);
				if (strstr(pattern, "{id}") != NULL) {
					strcat(path, "/");
					strcat(path, id);
				}
			}
			struct route_match match = find(routes[i].method, path, ROUTE_FOUND);
			ck_assert_msg(match.route == &routes[i], "%s %s", routes[i].method, path);
			if (strncmp(pattern, "/{", 2) == 0)
				ck_assert_ptr_eq(match.entity, &route_entities[e]);
			if (strstr(pattern, "{id}") != NULL)
				ck_assert_str_eq(match.id, id);
			else
				ck_assert_ptr_null(match.id);
		}
	}
}
END_TEST

START_TEST(head_is_get)
{
	ck_assert_int_eq(find("HEAD", "/orders", ROUTE_FOUND).route->action, ROUTE_LIST);
}
END_TEST

START_TEST(both_plurals_of_inventory)
{
	ck_assert_str_eq(find("GET", "/inventories", ROUTE_FOUND).entity->name, "inventory");
	ck_assert_str_eq(find("GET", "/inventory", ROUTE_FOUND).entity->name, "inventory");
	ck_assert_int_eq(find("POST", "/inventory", ROUTE_FOUND).route->action, ROUTE_CREATE);
	ck_assert_str_eq(find("POST", "/inventories", ROUTE_FOUND).entity->create,
	                 "create_inventories");
}
END_TEST

START_TEST(unknown_paths)
{
	const char *const paths[] = { "",         "*",         "//",         "/nothing",
		                      "/order/",  "/orders/x", "/order/a/b", "/orders/",
		                      "/ordersx", "/ORDER/x",  "/mail/x",    "/{X}/x" };
	for (size_t i = 0; i < ARRAY_LEN(paths); i++)
		find("GET", paths[i], ROUTE_UNKNOWN_PATH);
}
END_TEST

START_TEST(wrong_methods_say_what_is_allowed)
{
	ck_assert_str_eq(find("PATCH", "/customers", ROUTE_WRONG_METHOD).allow, "GET, HEAD, POST");
	ck_assert_str_eq(find("POST", "/order/x", ROUTE_WRONG_METHOD).allow,
	                 "GET, HEAD, PUT, DELETE");
	ck_assert_str_eq(find("GET", "/order", ROUTE_WRONG_METHOD).allow, "POST");
	ck_assert_str_eq(find("DELETE", "/health", ROUTE_WRONG_METHOD).allow, "GET, HEAD");
	ck_assert_str_eq(find("DELETE", "/order", ROUTE_WRONG_METHOD).entity->plural, "orders");
	ck_assert_ptr_null(find("DELETE", "/health", ROUTE_WRONG_METHOD).entity);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("routes");
	TCase *tests = tcase_create("routes");
	tcase_add_test(tests, every_row_is_found_by_its_own_pattern);
	tcase_add_test(tests, head_is_get);
	tcase_add_test(tests, both_plurals_of_inventory);
	tcase_add_test(tests, unknown_paths);
	tcase_add_test(tests, wrong_methods_say_what_is_allowed);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
