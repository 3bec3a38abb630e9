#include "base/config.h"
#include "tests/support/suite.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct config_option table[] = {
	{ .name = "data_dir",
	  .type = CONFIG_STRING,
	  .placeholder = "DIR",
	  .help = "where data lies" },
	{ .name = "port",
	  .type = CONFIG_INTEGER,
	  .placeholder = "N",
	  .help = "where to listen",
	  .fallback = "5000",
	  .min = 0,
	  .max = 65535,
	  .also_env = "LEGACY_PORTNR" },
	{ .name = "verbose", .type = CONFIG_FLAG, .help = "say more", .fallback = "false" },
	{ .name = "all", .type = CONFIG_FLAG, .help = "all of them", .once = true },
	{ .name = "at_most",
	  .type = CONFIG_INTEGER,
	  .placeholder = "N",
	  .help = "end then",
	  .fallback = "20",
	  .max = 99,
	  .once = true },
};
static struct config_option options[ARRAY_LEN(table)];
static char path[] = "/tmp/config-test-XXXXXX";
static struct error err;
static char *words[12];
static int word_count;

static void setup(void)
{
	strcpy(path + strlen(path) - 6, "XXXXXX");
	int fd = mkstemp(path);
	ck_assert_int_ge(fd, 0);
	close(fd);
	memcpy(options, table, sizeof(table));
	static const char *const names[] = { "ORDERSHOP_DATA_DIR", "ORDERSHOP_PORT",
		                             "LEGACY_PORTNR",      "ORDERSHOP_VERBOSE",
		                             "ORDERSHOP_ALL",      "ORDERSHOP_AT_MOST",
		                             "ORDERSHOP_CONFIG" };
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		unsetenv(names[i]);
}

static void teardown(void)
{
	unlink(path);
}

static void file_text(const char *text)
{
	FILE *file = fopen(path, "w");
	ck_assert_ptr_nonnull(file);
	fputs(text, file);
	fclose(file);
	setenv("ORDERSHOP_CONFIG", path, 1);
}

/* The words of a command line, split at spaces. */
static bool load(const char *line)
{
	static char text[200];
	snprintf(text, sizeof(text), "%s", line);
	word_count = 0;
	words[word_count++] = (char *)(uintptr_t) "program";
	for (char *word = strtok(text, " "); word != NULL; word = strtok(NULL, " "))
		words[word_count++] = word;
	return config_load(options, ARRAY_LEN(options), &word_count, words, &err);
}

START_TEST(defaults_stand_where_nothing_is_given)
{
	ck_assert(load(""));
	ck_assert_ptr_null(config_string(options, 3, "data_dir"));
	ck_assert_int_eq(config_integer(options, 3, "port"), 5000);
	ck_assert(!config_flag(options, 3, "verbose"));
	ck_assert_str_eq(options[1].source, "default");
}
END_TEST

START_TEST(flags_beat_environment_beats_file)
{
	file_text("# all of them\nport: 1\ndata_dir: \"from file\"\nverbose: yes\n");
	ck_assert_msg(load(""), "%s", err.message);
	ck_assert_int_eq(config_integer(options, 3, "port"), 1);
	ck_assert_str_eq(config_string(options, 3, "data_dir"), "from file");
	ck_assert(config_flag(options, 3, "verbose"));
	ck_assert_ptr_nonnull(strstr(options[1].source, ":2"));
	setenv("LEGACY_PORTNR", "2", 1);
	ck_assert(load(""));
	ck_assert_int_eq(config_integer(options, 3, "port"), 2);
	setenv("ORDERSHOP_PORT", "3", 1);
	ck_assert(load(""));
	ck_assert_int_eq(config_integer(options, 3, "port"), 3);
	ck_assert(load("--port 4 --verbose=no"));
	ck_assert_int_eq(config_integer(options, 3, "port"), 4);
	ck_assert(!config_flag(options, 3, "verbose"));
	ck_assert_str_eq(options[1].source, "--port");
}
END_TEST

START_TEST(what_one_call_shall_do_is_only_a_flag)
{
	setenv("ORDERSHOP_ALL", "true", 1);
	setenv("ORDERSHOP_AT_MOST", "7", 1);
	ck_assert(load(""));
	ck_assert(!config_flag(options, 5, "all"));
	ck_assert_int_eq(config_integer(options, 5, "at_most"), 20);
	ck_assert(load("--all --at-most 3"));
	ck_assert(config_flag(options, 5, "all"));
	ck_assert_int_eq(config_integer(options, 5, "at_most"), 3);
	file_text("all: true\n");
	ck_assert(!load(""));
	ck_assert_ptr_nonnull(strstr(err.message, ":1: all is said anew in each call, by --all"));
	file_text("at_most: 4\n");
	ck_assert(!load(""));
	ck_assert_ptr_nonnull(
	    strstr(err.message, "at_most is said anew in each call, by --at-most"));
}
END_TEST

START_TEST(other_words_are_kept_in_order)
{
	ck_assert(load("one --port=7 two --verbose three - -- --four"));
	ck_assert_int_eq(word_count, 6);
	static const char *const kept[] = { "program", "one", "two", "three", "-", "--four" };
	for (int i = 0; i < word_count; i++)
		ck_assert_str_eq(words[i], kept[i]);
	ck_assert_int_eq(config_integer(options, 3, "port"), 7);
	ck_assert(config_flag(options, 3, "verbose"));
}
END_TEST

START_TEST(the_file_can_be_named_by_a_flag)
{
	file_text("port: 9\n");
	unsetenv("ORDERSHOP_CONFIG");
	char line[100];
	snprintf(line, sizeof(line), "word --config %s", path);
	ck_assert(load(line));
	ck_assert_int_eq(config_integer(options, 3, "port"), 9);
	ck_assert_int_eq(word_count, 2);
	ck_assert(!load("--config /nonexistent/file"));
	ck_assert(!load("--config"));
}
END_TEST

START_TEST(mistakes_are_named)
{
	static const struct {
		const char *line;
		const char *message;
	} bad[] = {
		{ "--prot 5", "unknown option --prot, see --help" },
		{ "--ports 5", "unknown option --ports, see --help" },
		{ "--port", "--port: needs a value: N" },
		{ "--port=x", "--port: must be an integer from 0 to 65535, is \"x\"" },
		{ "--port 65536", "--port: must be an integer from 0 to 65535, is \"65536\"" },
		{ "--port=", "--port: must be an integer from 0 to 65535, is \"\"" },
		{ "--verbose=maybe", "--verbose: must be true or false, is \"maybe\"" },
		{ "-x", "unknown option -x, see --help" },
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		ck_assert_msg(!load(bad[i].line), "%s", bad[i].line);
		ck_assert_str_eq(err.message, bad[i].message);
	}
	setenv("ORDERSHOP_PORT", "y", 1);
	ck_assert(!load(""));
	ck_assert_str_eq(err.message,
	                 "ORDERSHOP_PORT: must be an integer from 0 to 65535, is \"y\"");
}
END_TEST

START_TEST(mistakes_in_the_file_are_named_by_line)
{
	static const struct {
		const char *text;
		const char *message;
	} bad[] = {
		{ "port: 1\nprot: 2\n", ":2: unknown option \"prot\"" },
		{ "port: 1\nport: 2\n", ":2: this option is given twice" },
		{ "\n\nport: many\n", ":3: must be an integer" },
		{ "port: [1]\n", ":1: expected a single value" },
		{ "- port\n", ":1: expected lines of" },
		{ "port\n", ":1: expected lines of" },
		{ "port: 1\n@x\n", ":2: " },
		{ "? [a]\n: b\n", ":1: expected the name" },
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		file_text(bad[i].text);
		ck_assert_msg(!load(""), "%s", bad[i].text);
		ck_assert_msg(strstr(err.message, bad[i].message) != NULL, "%s", err.message);
		ck_assert_ptr_nonnull(strstr(err.message, path));
	}
	file_text("");
	ck_assert(load(""));
	file_text("{}");
	ck_assert(load(""));
}
END_TEST

START_TEST(help_comes_from_the_table)
{
	char *text = NULL;
	size_t size = 0;
	FILE *stream = open_memstream(&text, &size);
	config_print_help(stream, options, ARRAY_LEN(options));
	fclose(stream);
	ck_assert_str_eq(
	    text,
	    "  --data-dir DIR  where data lies [ORDERSHOP_DATA_DIR]\n"
	    "  --port N        where to listen [ORDERSHOP_PORT or LEGACY_PORTNR; default 5000]\n"
	    "  --verbose       say more [ORDERSHOP_VERBOSE; default false]\n"
	    "  --all           all of them\n"
	    "  --at-most N     end then [default 20]\n"
	    "  --config FILE   YAML file of `option: value` lines [ORDERSHOP_CONFIG]\n");
	free(text);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("config");
	TCase *all = tcase_create("all");
	tcase_add_checked_fixture(all, setup, teardown);
	tcase_add_test(all, defaults_stand_where_nothing_is_given);
	tcase_add_test(all, flags_beat_environment_beats_file);
	tcase_add_test(all, what_one_call_shall_do_is_only_a_flag);
	tcase_add_test(all, other_words_are_kept_in_order);
	tcase_add_test(all, the_file_can_be_named_by_a_flag);
	tcase_add_test(all, mistakes_are_named);
	tcase_add_test(all, mistakes_in_the_file_are_named_by_line);
	tcase_add_test(all, help_comes_from_the_table);
	suite_add_tcase(suite, all);
	return run_suite(suite);
}
