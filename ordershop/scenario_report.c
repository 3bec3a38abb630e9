#include "ordershop/scenario_report.h"

#include "ordershop/command.h"
#include "ordershop/lines.h"
#include "ordershop/out_file.h"

#include <stdio.h>
#include <string.h>

enum { JUNIT_MAX = 64 * 1024 * 1024 };

static const char *const words[OUTCOME_STATES] = {
	[OUTCOME_OK] = "ok  ",
	[OUTCOME_FAILED] = "FAIL",
	[OUTCOME_SKIPPED] = "skip",
	[OUTCOME_ERROR] = "FAIL",
};

void outcome_print(const struct scenario_outcome *outcome)
{
	printf("%s %s: %s\n", words[outcome->state], outcome->path, outcome->title);
	if (outcome->state == OUTCOME_FAILED)
		fputs(outcome->text, stdout);
	else if (outcome->state != OUTCOME_OK)
		printf("     %s\n", outcome->text);
	fflush(stdout);
}

void outcome_print_summary(const size_t counts[OUTCOME_STATES])
{
	size_t all = counts[OUTCOME_OK] + counts[OUTCOME_FAILED] + counts[OUTCOME_SKIPPED];

	printf("%zu %s: %zu ok, %zu failed, %zu skipped\n", all,
	       plural(all, "scenario", "scenarios"), counts[OUTCOME_OK], counts[OUTCOME_FAILED],
	       counts[OUTCOME_SKIPPED]);
}

/* ---- JUnit ------------------------------------------------------------------------------- */

/* What XML cannot hold becomes '?'. */
static void put_escaped(struct buffer *out, const char *text)
{
	static const char *const escapes[128] = {
		['<'] = "&lt;",   ['>'] = "&gt;",   ['&'] = "&amp;",
		['"'] = "&quot;", ['\n'] = "&#10;", ['\t'] = "&#9;",
	};
	for (; *text != '\0'; text++) {
		unsigned char c = (unsigned char)*text;
		if (c < ARRAY_LEN(escapes) && escapes[c] != NULL)
			buffer_puts(out, escapes[c]);
		else
			buffer_putc(out, c < ' ' || c == 0x7f ? '?' : *text);
	}
}

static void put_case(struct buffer *out, const struct scenario_outcome *outcome)
{
	buffer_puts(out, "  <testcase classname=\"");
	put_escaped(out, outcome->path);
	buffer_puts(out, "\" name=\"");
	put_escaped(out, outcome->title);
	buffer_printf(out, "\" time=\"%.3f\"", (double)outcome->us / 1e6);
	if (outcome->state == OUTCOME_OK) {
		buffer_puts(out, "/>\n");
		return;
	}
	static const char *const elements[OUTCOME_STATES] = {
		[OUTCOME_FAILED] = "failure",
		[OUTCOME_SKIPPED] = "skipped",
		[OUTCOME_ERROR] = "error",
	};
	const char *element = elements[outcome->state];
	const char *first = outcome->text + strspn(outcome->text, " ");
	char line[512];
	snprintf(line, sizeof(line), "%.*s", (int)strcspn(first, "\n"), first);
	buffer_printf(out, ">\n    <%s message=\"", element);
	put_escaped(out, line);
	buffer_puts(out, "\">");
	put_escaped(out, outcome->text);
	buffer_printf(out, "</%s>\n  </testcase>\n", element);
}

static void put_suite(struct buffer *out, const struct scenario_outcome *outcomes, size_t count)
{
	size_t counts[OUTCOME_STATES] = { 0 };
	uint64_t us = 0;
	for (size_t i = 0; i < count; i++) {
		counts[outcomes[i].state]++;
		us += outcomes[i].us;
	}
	buffer_printf(out,
	              "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
	              "<testsuite name=\"ordershop scenario\" tests=\"%zu\" failures=\"%zu\" "
	              "errors=\"%zu\" skipped=\"%zu\" time=\"%.3f\">\n",
	              count, counts[OUTCOME_FAILED], counts[OUTCOME_ERROR], counts[OUTCOME_SKIPPED],
	              (double)us / 1e6);
	for (size_t i = 0; i < count; i++)
		put_case(out, &outcomes[i]);
	buffer_puts(out, "</testsuite>\n");
}

bool outcome_write_junit(const char *path, const struct scenario_outcome *outcomes, size_t count,
                         struct error *err)
{
	struct buffer text;
	buffer_init(&text, JUNIT_MAX);
	put_suite(&text, outcomes, count);
	bool ok = out_file_write(path, &text, err);
	buffer_free(&text);
	return ok;
}
