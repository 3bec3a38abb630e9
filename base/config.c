#include "base/config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

/* Made texts are chained here: options point to them until the process ends. */
static struct kept {
	struct kept *next;
	char text[];
} * all_kept;

static const char *keep(const char *text)
{
	size_t size = strlen(text) + 1;
	struct kept *kept = malloc(sizeof(*kept) + size);
	ASSERT(kept != NULL);
	memcpy(kept->text, text, size);
	kept->next = all_kept;
	all_kept = kept;
	return kept->text;
}

enum { NAME_SIZE = 80 };

/* "data_dir" -> "--data-dir" */
static void flag_name(const char *name, char out[NAME_SIZE])
{
	snprintf(out, NAME_SIZE, "--%s", name);
	for (char *p = out; *p != '\0'; p++) {
		if (*p == '_')
			*p = '-';
	}
}

/* "data_dir" -> "ORDERSHOP_DATA_DIR" */
static void env_name(const char *name, char out[NAME_SIZE])
{
	snprintf(out, NAME_SIZE, "ORDERSHOP_%s", name);
	for (char *p = out; *p != '\0'; p++) {
		if (*p >= 'a' && *p <= 'z')
			*p = (char)(*p - 'a' + 'A');
	}
}

static struct config_option *find(struct config_option *options, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(options[i].name, name) == 0)
			return options + i;
	}
	return NULL;
}

static bool flag_value(const char *text, bool *out)
{
	static const struct {
		const char *text;
		bool value;
	} words[] = { { "true", true }, { "false", false }, { "yes", true }, { "no", false },
		      { "on", true },   { "off", false },   { "1", true },   { "0", false } };
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (strcmp(words[i].text, text) == 0) {
			*out = words[i].value;
			return true;
		}
	}
	return false;
}

static bool integer_value(const char *text, int64_t *out)
{
	char *end;
	errno = 0;
	long long value = strtoll(text, &end, 10);
	if (end == text || *end != '\0' || errno != 0)
		return false;
	*out = value;
	return true;
}

static bool set_option(struct config_option *option, const char *value, const char *source,
                       struct error *err)
{
	bool flag;
	int64_t number;
	switch (option->type) {
	case CONFIG_STRING:
		break;
	case CONFIG_INTEGER:
		if (!integer_value(value, &number) || number < option->min || number > option->max)
			return error_set(err, ERR_INVALID,
			                 "%s: must be an integer from %lld to %lld, is \"%.60s\"",
			                 source, (long long)option->min, (long long)option->max,
			                 value);
		break;
	case CONFIG_FLAG:
		if (!flag_value(value, &flag))
			return error_set(err, ERR_INVALID,
			                 "%s: must be true or false, is \"%.60s\"", source, value);
		value = flag ? "true" : "false";
		break;
	}
	option->value = keep(value);
	option->source = keep(source);
	return true;
}

static bool load_environment(struct config_option *options, size_t count, struct error *err)
{
	for (size_t i = 0; i < count; i++) {
		char name[NAME_SIZE];
		if (options[i].once)
			continue;
		env_name(options[i].name, name);
		const char *source = name;
		const char *value = getenv(name);
		if (value == NULL && options[i].also_env != NULL) {
			source = options[i].also_env;
			value = getenv(source);
		}
		if (value != NULL && !set_option(options + i, value, source, err))
			return false;
	}
	return true;
}

/* The file is one mapping of option names to scalars. */
struct file {
	const char *path;
	yaml_parser_t parser;
	struct config_option *options;
	size_t count;
	struct error *err;
};

static bool next_event(struct file *file, yaml_event_t *event)
{
	if (yaml_parser_parse(&file->parser, event))
		return true;
	return error_set(file->err, ERR_INVALID, "%s:%zu: %s", file->path,
	                 file->parser.problem_mark.line + 1,
	                 file->parser.problem != NULL ? file->parser.problem : "not valid YAML");
}

static bool fail_event(struct file *file, yaml_event_t *event, const char *what)
{
	error_set(file->err, ERR_INVALID, "%s:%zu: %s", file->path, event->start_mark.line + 1,
	          what);
	yaml_event_delete(event);
	return false;
}

static bool load_pair(struct file *file, yaml_event_t *key)
{
	if (key->type != YAML_SCALAR_EVENT)
		return fail_event(file, key, "expected the name of an option");
	const char *name = (const char *)key->data.scalar.value;
	char source[512];
	snprintf(source, sizeof(source), "%s:%zu", file->path, key->start_mark.line + 1);
	struct config_option *option = find(file->options, file->count, name);
	if (option == NULL) {
		error_set(file->err, ERR_INVALID, "%s: unknown option \"%.60s\", see --help",
		          source, name);
		yaml_event_delete(key);
		return false;
	}
	if (option->once) {
		char flag[NAME_SIZE];
		flag_name(option->name, flag);
		error_set(file->err, ERR_INVALID, "%s: %s is said anew in each call, by %s", source,
		          option->name, flag);
		yaml_event_delete(key);
		return false;
	}
	/* `source` is still from the file's options only: environment and flags come later. */
	if (option->source != NULL && strncmp(option->source, file->path, strlen(file->path)) == 0)
		return fail_event(file, key, "this option is given twice");
	yaml_event_delete(key);
	yaml_event_t value;
	if (!next_event(file, &value))
		return false;
	if (value.type != YAML_SCALAR_EVENT)
		return fail_event(file, &value, "expected a single value");
	bool ok = set_option(option, (const char *)value.data.scalar.value, source, file->err);
	yaml_event_delete(&value);
	return ok ? true : error_wrap(file->err, "%s", option->name);
}

static bool load_events(struct file *file)
{
	bool in_mapping = false;
	for (;;) {
		yaml_event_t event;
		if (!next_event(file, &event))
			return false;
		yaml_event_type_t type = event.type;
		if (in_mapping && type != YAML_MAPPING_END_EVENT) {
			if (!load_pair(file, &event))
				return false;
			continue;
		}
		/* An empty file is one empty scalar. */
		if (type == YAML_SEQUENCE_START_EVENT || type == YAML_ALIAS_EVENT ||
		    (type == YAML_SCALAR_EVENT && event.data.scalar.length > 0))
			return fail_event(file, &event, "expected lines of `option: value`");
		in_mapping = type == YAML_MAPPING_START_EVENT;
		yaml_event_delete(&event);
		if (type == YAML_STREAM_END_EVENT)
			return true;
	}
}

static bool load_file(const char *path, struct config_option *options, size_t count,
                      struct error *err)
{
	FILE *stream = fopen(path, "re");
	if (stream == NULL)
		return error_set(err, ERR_INVALID, "cannot read the configuration file %s: %s",
		                 path, strerror(errno));
	struct file file = { .path = path, .options = options, .count = count, .err = err };
	bool ok = false;
	if (!yaml_parser_initialize(&file.parser)) {
		error_set(err, ERR_INTERNAL, "%s: no YAML parser", path);
	} else {
		yaml_parser_set_input_file(&file.parser, stream);
		ok = load_events(&file);
		yaml_parser_delete(&file.parser);
	}
	fclose(stream);
	return ok;
}

/* argv[at] as `--name`, `--name VALUE` or `--name=VALUE`; sets *value NULL for none, *used to the
 * number of words. False: not this name. */
static bool match_flag(const char *flag, int argc, char **argv, int at, bool wants_value,
                       const char **value, int *used)
{
	size_t len = strlen(flag);
	if (strncmp(argv[at], flag, len) != 0)
		return false;
	*used = 1;
	*value = NULL;
	if (argv[at][len] == '=') {
		*value = argv[at] + len + 1;
		return true;
	}
	if (argv[at][len] != '\0')
		return false;
	if (wants_value && at + 1 < argc) {
		*value = argv[at + 1];
		*used = 2;
	}
	return true;
}

static const char *config_path(int argc, char **argv)
{
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
		const char *value;
		int used;
		if (match_flag("--config", argc, argv, i, true, &value, &used) && value != NULL)
			return value;
	}
	return getenv("ORDERSHOP_CONFIG");
}

static bool load_flag(struct config_option *options, size_t count, int argc, char **argv, int at,
                      int *used, struct error *err)
{
	const char *value;
	if (match_flag("--config", argc, argv, at, true, &value, used)) {
		return value != NULL ? true : error_set(err, ERR_INVALID, "--config: needs a FILE");
	}
	for (size_t i = 0; i < count; i++) {
		char flag[NAME_SIZE];
		bool wants_value = options[i].type != CONFIG_FLAG;
		flag_name(options[i].name, flag);
		if (!match_flag(flag, argc, argv, at, wants_value, &value, used))
			continue;
		if (value == NULL && wants_value)
			return error_set(err, ERR_INVALID, "%s: needs a value%s%s", flag,
			                 options[i].placeholder != NULL ? ": " : "",
			                 options[i].placeholder != NULL ? options[i].placeholder
			                                                : "");
		return set_option(options + i, value != NULL ? value : "true", flag, err);
	}
	return error_set(err, ERR_INVALID, "unknown option %.100s, see --help", argv[at]);
}

static bool load_flags(struct config_option *options, size_t count, int *argc, char **argv,
                       struct error *err)
{
	int words = 1;
	bool ended = false;
	for (int i = 1; i < *argc;) {
		int used = 1;
		if (ended || argv[i][0] != '-' || argv[i][1] == '\0') {
			argv[words++] = argv[i];
		} else if (strcmp(argv[i], "--") == 0) {
			ended = true;
		} else if (!load_flag(options, count, *argc, argv, i, &used, err)) {
			return false;
		}
		i += used;
	}
	*argc = words;
	return true;
}

bool config_load(struct config_option *options, size_t count, int *argc, char **argv,
                 struct error *err)
{
	for (size_t i = 0; i < count; i++) {
		options[i].value = options[i].fallback;
		options[i].source = options[i].fallback != NULL ? "default" : NULL;
	}
	const char *path = config_path(*argc, argv);
	if (path != NULL && !load_file(path, options, count, err))
		return false;
	return load_environment(options, count, err) && load_flags(options, count, argc, argv, err);
}

static const struct config_option *get(const struct config_option *options, size_t count,
                                       const char *name, enum config_type type)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(options[i].name, name) == 0) {
			ASSERT(options[i].type == type);
			return options + i;
		}
	}
	ASSERT(!"option is not in the table");
}

const char *config_string(const struct config_option *options, size_t count, const char *name)
{
	return get(options, count, name, CONFIG_STRING)->value;
}

int64_t config_integer(const struct config_option *options, size_t count, const char *name)
{
	const struct config_option *option = get(options, count, name, CONFIG_INTEGER);
	int64_t number = 0;
	ASSERT(option->value == NULL || integer_value(option->value, &number));
	return number;
}

bool config_flag(const struct config_option *options, size_t count, const char *name)
{
	const struct config_option *option = get(options, count, name, CONFIG_FLAG);
	bool flag = false;
	ASSERT(option->value == NULL || flag_value(option->value, &flag));
	return flag;
}

static int print_left(FILE *out, const char *flag, const char *placeholder)
{
	if (placeholder == NULL)
		return fprintf(out, "  %s", flag);
	return fprintf(out, "  %s %s", flag, placeholder);
}

/* Where else it is taken from, and the default. */
static void print_right(FILE *out, const struct config_option *option)
{
	bool has_default = option->fallback != NULL && *option->fallback != '\0';
	char name[NAME_SIZE];
	if (!option->once) {
		env_name(option->name, name);
		fprintf(out, " [%s", name);
		if (option->also_env != NULL)
			fprintf(out, " or %s", option->also_env);
		fputs(has_default ? "; " : "]", out);
	} else if (has_default) {
		fputs(" [", out);
	}
	if (has_default)
		fprintf(out, "default %s]", option->fallback);
	fputc('\n', out);
}

void config_print_help(FILE *out, const struct config_option *options, size_t count)
{
	size_t width = strlen("--config FILE");
	char name[NAME_SIZE];
	for (size_t i = 0; i < count; i++) {
		const char *placeholder = options[i].placeholder;
		size_t len = 2 + strlen(options[i].name) +
		             (placeholder != NULL ? 1 + strlen(placeholder) : 0);
		width = len > width ? len : width;
	}
	for (size_t i = 0; i < count; i++) {
		flag_name(options[i].name, name);
		int used = print_left(out, name, options[i].placeholder);
		fprintf(out, "%*s%s", (int)width + 4 - used, "", options[i].help);
		print_right(out, options + i);
	}
	int used = print_left(out, "--config", "FILE");
	fprintf(out, "%*sYAML file of `option: value` lines [ORDERSHOP_CONFIG]\n",
	        (int)width + 4 - used, "");
}
