/* The file of --config. */
#include "tests/fuzz/fuzz.h"
#include "base/config.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct config_option options[] = {
		{ .name = "data_dir", .type = CONFIG_STRING, .placeholder = "DIR", .help = "" },
		{ .name = "port",
		  .type = CONFIG_INTEGER,
		  .placeholder = "PORT",
		  .help = "",
		  .fallback = "5000",
		  .max = 65535 },
		{ .name = "verbose", .type = CONFIG_FLAG, .help = "", .fallback = "false" },
	};
	char program[] = "fuzz", flag[] = "--config", path[32];
	char *argv[] = { program, flag, path, NULL };
	int argc = 3;
	struct error err;
	strcpy(path, fuzz_file(bytes, len));
	if (!config_load(options, ARRAY_LEN(options), &argc, argv, &err)) {
		fuzz_check_error(&err);
		return 0;
	}
	int64_t port = config_integer(options, ARRAY_LEN(options), "port");
	ASSERT(port >= 0 && port <= 65535);
	(void)config_flag(options, ARRAY_LEN(options), "verbose");
	(void)config_string(options, ARRAY_LEN(options), "data_dir");
	return 0;
}
