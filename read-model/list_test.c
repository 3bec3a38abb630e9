/* Lists in pages, and gets on a stream. */
#include "read-model/test_fixture.h"

#include "base/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const Rm__ListResponse *list(Rm__ListRequest *request)
{
	struct error err;
	request->consistency = &fixture.consistency;
	const Rm__ListResponse *response =
	    (const Rm__ListResponse *)fixture_ask("List", &request->base, &err);
	if (response == NULL)
		ck_abort_msg("%s", err.message);
	return response;
}

/* Ids of all pages, each with a blank after it. */
static const char *list_all(Rm__ListRequest *request, size_t *pages)
{
	struct buffer ids;
	buffer_init(&ids, 1024 * 1024);
	buffer_puts(&ids, "");
	*pages = 0;
	do {
		const Rm__ListResponse *page = list(request);
		for (size_t i = 0; i < page->n_entities; i++)
			buffer_printf(&ids, "%s ", page->entities[i]->id);
		request->cursor = page->cursor;
		++*pages;
	} while (request->cursor[0] != '\0');
	const char *copy = arena_strdup(testing.arena, ids.bytes);
	buffer_free(&ids);
	return copy;
}

START_TEST(lists_in_pages)
{
	enum { COUNT = 12000 };
	size_t pages;
	Rm__ListRequest request = RM__LIST_REQUEST__INIT;
	Rm__Filter email = RM__FILTER__INIT, name = RM__FILTER__INIT;
	Rm__Filter *filters[] = { &email, &name };
	const char *emails[] = { "e7", "e18", "e907" }, *names[] = { "n7" };
	fixture_create_customers(COUNT);
	request.name = "customer";
	request.limit = 999;
	const char *all = list_all(&request, &pages);
	ck_assert_uint_eq(pages, COUNT / 999 + 1);
	ck_assert(strncmp(all, "c0 c1 c2 c3 ", 12) == 0); /* oldest first */
	ck_assert_uint_eq(strlen(all), 10 * 3 + 90 * 4 + 900 * 5 + 9000 * 6 + 2000 * 7);

	request = (Rm__ListRequest)RM__LIST_REQUEST__INIT;
	request.name = "customer";
	request.filters = filters;
	request.n_filters = 1;
	email.field = "email"; /* has an index: merged from two sets, in order */
	email.values = emails;
	email.n_values = ARRAY_LEN(emails);
	request.limit = 100;
	all = list_all(&request, &pages);
	ck_assert_uint_eq(pages, 3);
	ck_assert(strncmp(all, "c7 c18 c107 c118 c207 ", 22) == 0);

	request.n_filters = 2; /* and another that has none */
	name.field = "name";
	name.values = names;
	name.n_values = 1;
	all = list_all(&request, &pages);
	ck_assert(strncmp(all, "c7 c107 c207 ", 13) == 0);

	filters[0] = &name; /* only the one without: bounded work per page */
	request.n_filters = 1;
	request.limit = 1000;
	all = list_all(&request, &pages);
	ck_assert_uint_eq(pages, 3);
	ck_assert(strncmp(all, "c7 c17 c27 ", 11) == 0);

	name.n_values = 0;
	ck_assert_str_eq(list_all(&request, &pages), "");
}
END_TEST

START_TEST(wrong_lists_are_refused)
{
	struct error err;
	Rm__ListRequest request = RM__LIST_REQUEST__INIT;
	Rm__Filter filter = RM__FILTER__INIT;
	Rm__Filter *filters[] = { &filter };
	static const struct {
		const char *name, *field, *cursor;
		uint32_t limit;
	} rows[] = {
		{ "customer", "nose", "", 1 },   { "customer", NULL, "x", 1 },
		{ "customer", NULL, "12", 1 },   { "customer", NULL, "", 1001 },
		{ "no such name", NULL, "", 1 }, { "", NULL, "", 1 },
	};
	fixture_create("customer", "a", "{}");
	fixture_get("customer", "a");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		request.name = rows[i].name;
		request.cursor = rows[i].cursor;
		request.limit = rows[i].limit;
		request.filters = filters;
		request.n_filters = rows[i].field != NULL;
		filter.field = rows[i].field == NULL ? "" : rows[i].field;
		ck_assert_msg(fixture_ask("List", &request.base, &err) == NULL, "row %zu", i);
		ck_assert_int_eq(err.code, ERR_INVALID);
	}
}
END_TEST

/* ---- GetStream ---- */

struct gets {
	size_t answered, found, refused, ended;
};

static void got(void *arg, const ProtobufCMessage *message)
{
	struct gets *gets = arg;
	const Rm__GetStreamResponse *response = (const Rm__GetStreamResponse *)message;
	for (size_t i = 0; i < response->n_items; i++) {
		gets->answered++;
		gets->found += response->items[i]->entity != NULL;
		gets->refused += response->items[i]->error != NULL;
	}
}

static void gets_closed(void *arg, const struct error *err)
{
	ck_assert_msg(err == NULL, "%s", err == NULL ? "" : err->message);
	((struct gets *)arg)->ended = 1;
}

START_TEST(many_gets_on_a_stream)
{
	static const struct rpc_stream_events events = { got, gets_closed };
	enum { COUNT = 20000, PER_MESSAGE = 500 };
	struct gets gets = { 0 };
	fixture_create_customers(1000);
	struct rpc_stream *stream = rpc_stream_open(fixture.channel, &rm__read_model__descriptor,
	                                            "GetStream", &events, &gets);
	for (size_t i = 0; i < COUNT; i += PER_MESSAGE) {
		Rm__GetStreamRequest request = RM__GET_STREAM_REQUEST__INIT;
		Rm__GetItem items[PER_MESSAGE], *pointers[PER_MESSAGE];
		Rm__GetRequest asks[PER_MESSAGE];
		char ids[PER_MESSAGE][24];
		for (size_t k = 0; k < PER_MESSAGE; k++) {
			rm__get_item__init(&items[k]);
			rm__get_request__init(&asks[k]);
			snprintf(ids[k], sizeof(ids[k]), "c%zu", (i + k) % 2000);
			items[k].tag = i + k;
			items[k].request = k == 7 ? NULL : &asks[k];
			asks[k].name = "customer";
			asks[k].id = ids[k];
			asks[k].consistency = &fixture.consistency;
			pointers[k] = &items[k];
		}
		request.items = pointers;
		request.n_items = PER_MESSAGE;
		rpc_stream_send(stream, &request.base);
	}
	rpc_stream_end_sends(stream);
	testing_until(&gets.ended, 1);
	ck_assert_uint_eq(gets.answered, COUNT);
	ck_assert_uint_eq(gets.refused, COUNT / PER_MESSAGE);
	ck_assert_uint_eq(gets.found, (COUNT - COUNT / PER_MESSAGE) / 2);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = { lists_in_pages, wrong_lists_are_refused,
		                       many_gets_on_a_stream };
	return fixture_main("read model lists", tests, ARRAY_LEN(tests));
}
