#include "base/json.h"

#include "proto/entities.pb-c.h"
#include "tests/support/suite.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static struct error err;
static struct json *json;
static struct arena *arena;
static struct buffer out;

static void setup(void)
{
	arena = arena_create();
	buffer_init(&out, 1 << 20);
	json = NULL;
}

static void teardown(void)
{
	json_free(json);
	arena_destroy(arena);
	buffer_free(&out);
}

static bool parse(const char *text)
{
	json_free(json);
	json = NULL;
	/* A copy of the exact size lets the sanitizer see a read beyond the end. */
	size_t len = strlen(text);
	char *copy = malloc(len);
	memcpy(copy, text, len);
	enum json_kind kind;
	bool valid = json_valid(copy, len, &kind, &err);
	bool ok = json_parse(copy, len, &json, &err);
	free(copy);
	if (ok)
		ck_assert_int_eq(kind, json_kind(json));
	if (valid != ok) /* see json_valid: what it does not find */
		ck_assert_msg(
		    valid && (strstr(err.message, "twice") || strstr(err.message, "too large")),
		    "%s", text);
	return ok;
}

/* Whoever takes the members as they stand gets what the tree gives. */
static void check_plain(const char *text)
{
	struct json_span members[8];
	size_t count;
	if (!json_plain_members(text, strlen(text), members, ARRAY_LEN(members), &count))
		return;
	ck_assert_uint_eq(count, json_count(json));
	for (size_t i = 0; i < count; i++) {
		const struct json *member = json_at(json, i);
		ck_assert_int_eq(members[i].kind, json_kind(member));
		ck_assert_uint_eq(members[i].name_len, strlen(json_name(member)));
		ck_assert_mem_eq(members[i].name, json_name(member), members[i].name_len);
		buffer_clear(&out);
		json_write(&out, member);
		ck_assert_uint_eq(members[i].len, out.len);
		ck_assert_mem_eq(members[i].value, out.bytes, out.len);
	}
}

static const char *rewritten(const char *text)
{
	ck_assert_msg(parse(text), "%s: %s", text, err.message);
	check_plain(text);
	buffer_clear(&out);
	json_write(&out, json);
	return out.bytes;
}

static bool is_plain(const char *text)
{
	struct json_span members[8];
	size_t count;
	return json_plain_members(text, strlen(text), members, ARRAY_LEN(members), &count);
}

START_TEST(plain_members_are_those_of_the_tree)
{
	static const char *const plain[] = {
		"{}",
		"{\"a\":1}",
		"{\"a\":\"\",\"b\":\"x/y\",\"c\":null,\"d\":true,\"e\":false,\"f\":-12}",
		"{\"a\":0,\"b\":123456789012345}",
		"{\"a\":[],\"b\":{},\"c\":[1,[\"x\"],{\"a\":{\"a\":[2]}}]}",
		"{\"stra\303\237e\":\"K\303\266ln\"}",
	};
	static const char *const others[] = {
		"",
		"1",
		"[]",
		"{\"a\":1} ",
		"{ \"a\":1}",
		"{\"a\": 1}",
		"{\"a\":1 ,\"b\":2}",
		"{\"a\":[1, 2]}",
		"{\"a\":1,}",
		"{\"a\":[1,]}",
		"{\"a\"}",
		"{\"a\":}",
		"{\"a\":1",
		"{\"a\":\"x}",
		"{\"a\":\"\\n\"}",
		"{\"\\u0061\":1}",
		"{\"a\":\"\x7F\"}",
		"{\"a\":\"\t\"}",
		"{\"a\":\"\xC3\"}",
		"{\"a\":1.0}",
		"{\"a\":1e3}",
		"{\"a\":-0}",
		"{\"a\":01}",
		"{\"a\":-}",
		"{\"a\":1234567890123456}",
		"{\"a\":1,\"a\":2}",
		"{\"a\":{\"b\":1,\"b\":2}}",
		"{\"a\":tru}",
		"{\"a\":[[[[[[[[1]]]]]]]]}",
		"{\"1\":1,\"2\":1,\"3\":1,\"4\":1,\"5\":1,\"6\":1,\"7\":1,\"8\":1,\"9\":1}",
	};
	for (size_t i = 0; i < ARRAY_LEN(plain); i++) {
		ck_assert_msg(is_plain(plain[i]), "%s", plain[i]);
		ck_assert_str_eq(rewritten(plain[i]), plain[i]);
	}
	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		ck_assert_msg(!is_plain(others[i]), "%s", others[i]);
	for (size_t i = 0; i < ARRAY_LEN(plain); i++) {
		for (size_t len = 0; len < strlen(plain[i]); len++) {
			char *cut = arena_copy(arena, plain[i], len);
			ck_assert_msg(!is_plain(cut), "%s", cut);
		}
	}
}
END_TEST

START_TEST(valid_texts_come_back_as_they_were)
{
	static const char *const texts[] = {
		"null",
		"true",
		"false",
		"0",
		"-1",
		"999999999999999",
		"9007199254740993",
		"123456789012345678901234567890",
		"0.1",
		"1e5",
		"-1.50",
		"1E-400",
		"\"\"",
		"\"a \\\"\\\\ \\b\\f\\n\\r\\t \\u0001 \xc3\xa9 \xf0\x9f\x98\x80\"",
		"[]",
		"{}",
		"[1,[2,[]],{\"a\":{\"b\":[null]}}]",
		"{\"\":1,\"a\":1.0,\"A\":\"x\"}",
		"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]",
		"[0.1,1,2.50,3,12345678901234567890,4]",
	};
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		ck_assert_str_eq(rewritten(texts[i]), texts[i]);
	ck_assert_str_eq(rewritten(" \t\r\n[ 1 , { \"a\" : 2 } ] \n"), "[1,{\"a\":2}]");
	ck_assert_str_eq(rewritten("\"\\u00e9\\ud83d\\ude00\\/\\u007f\""),
	                 "\"\xc3\xa9\xf0\x9f\x98\x80/\\u007f\"");
}
END_TEST

START_TEST(invalid_texts_are_refused_with_their_place)
{
	static const struct {
		const char *text;
		const char *message; /* a part of it */
	} bad[] = {
		{ "", "line 1, column 1: the text ends" },
		{ "  ", "line 1, column 3" },
		{ "{", "line 1, column 2: expected a member name" },
		{ "{\"a\"", "expected ':'" },
		{ "{\"a\":", "the text ends where a value" },
		{ "{\"a\":1", "expected ',' or '}'" },
		{ "{\"a\":1,}", "column 8: expected a member name" },
		{ "{a:1}", "column 2" },
		{ "[1,]", "column 4: expected a value" },
		{ "[1 2]", "column 4: expected ',' or ']'" },
		{ "1 2", "column 3: expected nothing more" },
		{ "{}x", "column 3" },
		{ "[\n\"\xc3\xa9\",\n x]", "line 3, column 2: expected a value" },
		{ "[\"\xc3\xa9\", x]", "line 1, column 7" },
		{ "01", "must not start with 0" },
		{ "-", "expected a digit" },
		{ "1.", "expected a digit" },
		{ ".5", "expected a value" },
		{ "1e", "expected a digit" },
		{ "+1", "expected a value" },
		{ "0x1", "nothing more" },
		{ "NaN", "expected a value" },
		{ "1e400", "the number is too large" },
		{ "{\"a\":[1,-1e999]}", "a[1]: the number is too large" },
		{ "1234567890123456789012345678901234567890123456789012345678901234", "63" },
		{ "tru", "expected a value" },
		{ "truex", "column 5" },
		{ "nul", "expected a value" },
		{ "\"a", "ends within a string" },
		{ "\"\\", "unknown escape" },
		{ "\"\\x\"", "unknown escape" },
		{ "\"\\u12\"", "four hexadecimal" },
		{ "\"\\u0000\"", "\\u0000 is not allowed" },
		{ "\"\\ud800\"", "surrogate" },
		{ "\"\\ud800\\u0041\"", "surrogate" },
		{ "\"\\udc00\"", "surrogate" },
		{ "\"a\nb\"", "line 1, column 3: control character" },
		{ "\"\xff\"", "UTF-8" },
		{ "\"\xc0\x80\"", "UTF-8" },
		{ "\"\xc3\"", "UTF-8" },
		{ "\"\xed\xa0\x80\"", "UTF-8" },
		{ "\"\xf4\x90\x80\x80\"", "UTF-8" },
		{ "\xef\xbb\xbf{}", "column 1: expected a value" },
		{ "'a'", "expected a value" },
		{ "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]",
		  "column 33: nested deeper than 32" },
		{ "{\"a\":1,\"a\":2}", "a: is given twice" },
		{ "{\"b\":[0,{\"a\":1,\"c\":0,\"\\u0061\":2}]}", "b[1].a: is given twice" },
		{ "{\"a\":1,\"b\":1,\"c\":1,\"d\":1,\"e\":1,\"f\":1,\"g\":1,\"h\":1,\"i\":1,\"j\":"
		  "1,"
		  "\"k\":1,\"l\":1,\"m\":1,\"d\":1}",
		  "d: is given twice" },
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		ck_assert_msg(!parse(bad[i].text), "%s", bad[i].text);
		ck_assert_int_eq(err.code, ERR_INVALID);
		ck_assert_msg(strstr(err.message, bad[i].message) != NULL, "%s: %s", bad[i].text,
		              err.message);
	}
	ck_assert(!json_parse("\"a\0b\"", 5, &json, &err));
	ck_assert(!json_parse("1\0", 2, &json, &err));
}
END_TEST

START_TEST(every_cut_of_a_text_is_refused)
{
	static const char text[] = "{\"a\":[1.5e+3,true,null,\"\\u00e9\xc3\xa9\"],\"b\":{}}";
	for (size_t len = 0; len < sizeof(text) - 1; len++) {
		char *copy = malloc(len);
		memcpy(copy, text, len);
		ck_assert(!json_parse(copy, len, &json, &err));
		free(copy);
	}
	ck_assert(parse(text));
}
END_TEST

START_TEST(accessors_answer_for_every_kind)
{
	ck_assert(parse("{\"l\":[1,\"x\",true],\"n\":null}"));
	const struct json *list = json_member(json, "l");
	ck_assert_int_eq(json_kind(json), JSON_OBJECT);
	ck_assert_int_eq(json_kind(list), JSON_LIST);
	ck_assert_int_eq(json_kind(json_member(json, "n")), JSON_NULL);
	ck_assert_str_eq(json_name(list), "l");
	ck_assert_uint_eq(json_count(list), 3);
	ck_assert_uint_eq(json_count(json_at(list, 0)), 0);
	ck_assert_str_eq(json_text(json_at(list, 1)), "x");
	ck_assert_ptr_null(json_text(json_at(list, 0)));
	ck_assert_double_eq(json_number(json_at(list, 0)), 1);
	ck_assert_double_eq(json_number(json_at(list, 1)), 0);
	ck_assert_ptr_null(json_at(list, 3));
	ck_assert_ptr_null(json_member(json, "L"));
	ck_assert_ptr_null(json_member(list, "l"));
	ck_assert_str_eq(json_kind_name(json_kind(json_at(list, 2))), "a boolean");
}
END_TEST

START_TEST(integers_are_exact_or_refused)
{
	static const struct {
		const char *text;
		bool ok;
		int64_t value;
	} cases[] = {
		{ "0", true, 0 },
		{ "-0", true, 0 },
		{ "-17", true, -17 },
		{ "1.0", true, 1 },
		{ "1e3", true, 1000 },
		{ "4294967297", true, 4294967297 },
		{ "9007199254740991", true, 9007199254740991 },
		{ "-9007199254740991", true, -9007199254740991 },
		{ "9007199254740992", false, 0 },
		{ "9007199254740993", false, 0 },
		{ "\"9007199254740993\"", true, 9007199254740993 },
		{ "\"9223372036854775807\"", true, INT64_MAX },
		{ "\"-9223372036854775808\"", true, INT64_MIN },
		{ "\"9223372036854775808\"", false, 0 },
		{ "\"-9223372036854775809\"", false, 0 },
		{ "\"708\"", true, 708 },
		{ "\"\"", false, 0 },
		{ "\"-\"", false, 0 },
		{ "\" 1\"", false, 0 },
		{ "\"1.0\"", false, 0 },
		{ "\"+1\"", false, 0 },
		{ "1.5", false, 0 },
		{ "true", false, 0 },
		{ "null", false, 0 },
		{ "[]", false, 0 },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		int64_t value = 42;
		ck_assert(parse(cases[i].text));
		bool ok = json_integer(json, &value, &err);
		ck_assert_msg(ok == cases[i].ok, "%s", cases[i].text);
		ck_assert_msg(value == (ok ? cases[i].value : 42), "%s", cases[i].text);
	}
}
END_TEST

static void *read_order(const char *text, json_fields *present)
{
	ProtobufCMessage *message = NULL;
	ck_assert_msg(parse(text), "%s", err.message);
	bool ok = json_read_message(json, &shop__order__descriptor, arena, false, present, &message,
	                            &err);
	return ok ? message : NULL;
}

START_TEST(messages_are_read_and_written_in_full)
{
	static const char text[] =
	    "{\"entity_id\":\"e\",\"cart_id\":\"c\",\"status\":\"IN_STOCK\",\"customer_id\":\"\","
	    "\"items\":[{\"product_id\":\"p\",\"quantity\":2,\"price\":\"9007199254740993\"},"
	    "{\"product_id\":\"q\",\"quantity\":-1,\"price\":9007199254740991}],"
	    "\"shipping_fee\":0,\"total\":\"9223372036854775807\",\"fulfilment\":\"manual\","
	    "\"stock_held\":true}";
	json_fields present;
	Shop__Order *order = read_order(text, &present);
	ck_assert_ptr_nonnull(order);
	ck_assert_uint_eq(present, 0x1FF);
	ck_assert_uint_eq(order->n_items, 2);
	ck_assert_int_eq(order->items[0]->price, 9007199254740993);
	ck_assert_int_eq(order->status, 1);
	json_write_message(&out, &order->base);
	ck_assert_str_eq(out.bytes, text);

	order = read_order("{\"total\":\"12\",\"cart_id\":\"\"}", &present);
	ck_assert_uint_eq(present, 1 << 1 | 1 << 6);
	buffer_clear(&out);
	json_write_message(&out, &order->base);
	ck_assert_str_eq(out.bytes,
	                 "{\"entity_id\":\"\",\"cart_id\":\"\",\"status\":\"CREATED\","
	                 "\"customer_id\":\"\",\"items\":[],\"shipping_fee\":0,\"total\":12,"
	                 "\"fulfilment\":\"auto\",\"stock_held\":false}");
	buffer_clear(&out);
	json_write_field(
	    &out, &order->base,
	    protobuf_c_message_descriptor_get_field_by_name(&shop__order__descriptor, "status"));
	ck_assert_str_eq(out.bytes, "\"CREATED\"");
}
END_TEST

START_TEST(wrong_messages_are_refused_by_path)
{
	static const struct {
		const char *text;
		const char *message;
	} bad[] = {
		{ "[]", "must be an object, is a list" },
		{ "{\"x\":1}", "x: is not a field of Order" },
		{ "{\"items\":{}}", "items: must be a list, is an object" },
		{ "{\"items\":[1]}", "items[0]: must be an object, is a number" },
		{ "{\"items\":[{},{},{\"price\":\"abc\"}]}",
		  "items[2].price: must be an integer, is \"abc\"" },
		{ "{\"items\":[{\"x\":null}]}", "items[0].x: is not a field of OrderItem" },
		{ "{\"total\":1.5}", "total: must be an integer, is 1.5" },
		{ "{\"total\":null}", "total: must be an integer, is null" },
		{ "{\"total\":9007199254740993}",
		  "total: integers beyond 9007199254740991 must be sent as strings, is "
		  "9007199254740993" },
		{ "{\"cart_id\":5}", "cart_id: must be a string, is a number" },
		{ "{\"stock_held\":\"yes\"}", "stock_held: must be true or false, is a string" },
		{ "{\"fulfilment\":\"no\"}", "fulfilment: must be one of auto, manual, is \"no\"" },
		{ "{\"fulfilment\":1}", "fulfilment: must be one of auto, manual, is a number" },
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		ck_assert_msg(read_order(bad[i].text, NULL) == NULL, "%s", bad[i].text);
		ck_assert_int_eq(err.code, ERR_INVALID);
		ck_assert_str_eq(err.message, bad[i].message);
	}
	/* Unknown fields of another version can be let pass. */
	ProtobufCMessage *message;
	ck_assert(parse("{\"new\":{\"a\":[]},\"total\":3}"));
	ck_assert(
	    json_read_message(json, &shop__order__descriptor, arena, true, NULL, &message, &err));
	ck_assert_int_eq(((Shop__Order *)message)->total, 3);
}
END_TEST

START_TEST(long_values_are_clipped_between_characters)
{
	char text[300] = "{\"fulfilment\":\"x";
	for (int i = 0; i < 100; i++)
		strcat(text, "\xc3\xa9");
	strcat(text, "\"}");
	ck_assert_ptr_null(read_order(text, NULL));
	ck_assert(utf8_valid(err.message, strlen(err.message)));
	ck_assert_ptr_nonnull(strstr(err.message, "...\""));
}
END_TEST

START_TEST(strings_are_escaped_and_always_valid)
{
	json_write_string(&out, "a\"\\\n\x01\x7f/", 7);
	ck_assert_str_eq(out.bytes, "\"a\\\"\\\\\\n\\u0001\\u007f/\"");
	buffer_clear(&out);
	json_write_string(&out, "\xc3\xa9\xff\xc3", 4);
	ck_assert_str_eq(out.bytes, "\"\xc3\xa9\\ufffd\\ufffd\"");
	buffer_clear(&out);
	json_write_string(&out, "\0", 1);
	ck_assert_str_eq(out.bytes, "\"\\u0000\"");
	ck_assert(utf8_valid("", 0));
	ck_assert(!utf8_valid("\0", 1));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("json");
	TCase *all = tcase_create("all");
	tcase_add_checked_fixture(all, setup, teardown);
	tcase_add_test(all, valid_texts_come_back_as_they_were);
	tcase_add_test(all, plain_members_are_those_of_the_tree);
	tcase_add_test(all, invalid_texts_are_refused_with_their_place);
	tcase_add_test(all, every_cut_of_a_text_is_refused);
	tcase_add_test(all, accessors_answer_for_every_kind);
	tcase_add_test(all, integers_are_exact_or_refused);
	tcase_add_test(all, messages_are_read_and_written_in_full);
	tcase_add_test(all, wrong_messages_are_refused_by_path);
	tcase_add_test(all, long_values_are_clipped_between_characters);
	tcase_add_test(all, strings_are_escaped_and_always_valid);
	suite_add_tcase(suite, all);
	return run_suite(suite);
}
