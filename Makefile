# The front door. CMake builds; this installs what it needs and knows the few commands to remember.
MAKEFLAGS += --no-print-directory
RELEASE   := build/release
SANITIZE  := build/sanitize
BINARY    := $(RELEASE)/ordershop
# Options for what `make run` and `make bench` start, such as ARGS="--data /srv/shop --port 8080".
ARGS      ?=

.PHONY: run test build bench check torture fuzz tsan clean help packages-run packages-test packages-check packages-fuzz

help:
	@echo 'make run      install what is missing, build, start the whole shop (ARGS="--port 8080")'
	@echo 'make test     build with AddressSanitizer and UBSan and run all tests'
	@echo 'make build    leave the binary at $(BINARY)'
	@echo 'make bench    measure, and print a table'
	@echo 'make check    format, warnings, shellcheck, clang-tidy and the tests'
	@echo 'make torture  the shop under fire (MINUTES=10), then the tests again and again (ROUNDS=3)'
	@echo 'make fuzz     look for inputs that break the parsers and services (SECONDS=60, each)'
	@echo 'make tsan     build with ThreadSanitizer and run the tests'
	@echo 'make clean    remove the build folder; data/ stays'

run: packages-run
	@$(MAKE) $(BINARY) >&2
	@exec $(BINARY) run $(ARGS)

build: packages-run
	@$(MAKE) $(BINARY)

test: packages-run packages-test
	@$(MAKE) $(SANITIZE)/ordershop
	@ctest --test-dir $(SANITIZE) -j2 --output-on-failure

bench: packages-run
	@$(MAKE) $(BINARY)
	@exec $(BINARY) bench $(ARGS)

check: packages-check test
	@git ls-files '*.c' '*.h' | xargs clang-format --dry-run -Werror
	@git ls-files '*.sh' .ci/run | xargs shellcheck
	@git ls-files '*.c' | xargs -P $$(nproc) -n 4 clang-tidy --quiet -p $(SANITIZE)

# SEED=N repeats the choices of a run.
MINUTES ?= 10
ROUNDS  ?= 3
torture: packages-run packages-test
	@$(MAKE) $(SANITIZE)/ordershop
	@MINUTES=$(MINUTES) ctest --test-dir $(SANITIZE) -C torture -L torture --verbose
	@ctest --test-dir $(SANITIZE) -j2 --output-on-failure --schedule-random \
	       --repeat until-fail:$(ROUNDS)

# What is found lies in build/fuzz as crash-*; mended, it becomes a file of tests/fuzz/corpus.
SECONDS ?= 60
fuzz: packages-run packages-test packages-fuzz
	@{ test -f build/fuzz/build.ninja || cmake --preset fuzz; } && \
	 cmake --build build/fuzz --target fuzzers
	@cd build/fuzz && for fuzzer in tests/fuzz/fuzz_*; do \
		test -x $$fuzzer -a -f $$fuzzer || continue; \
		name=$${fuzzer##*/fuzz_}; \
		mkdir -p found/$$name tests/fuzz/seeds/$$name; \
		echo "$$name"; \
		./$$fuzzer -max_total_time=$(SECONDS) -timeout=10 -max_len=4096 \
			-verbosity=0 -print_final_stats=1 found/$$name tests/fuzz/seeds/$$name \
			$$(ls -d ../../tests/fuzz/corpus/$$name 2>/dev/null) || exit 1; \
	 done

# gRPC is not looked at: it was not built for it. What is found in a service, whose log nobody reads, lies
# beside the rest in build/tsan/race.PID.
tsan: packages-run packages-test
	@{ test -f build/tsan/build.ninja || cmake --preset tsan; } && cmake --build build/tsan
	@rm -f build/tsan/race.*
	@CK_TIMEOUT_MULTIPLIER=10 \
	 TSAN_OPTIONS="ignore_noninstrumented_modules=1 log_path=$(CURDIR)/build/tsan/race" \
	 ctest --test-dir build/tsan --output-on-failure
	@! cat build/tsan/race.* 2>/dev/null

clean:
	rm -rf build

# Ninja knows what is out of date, so these always run.
.PHONY: $(BINARY) $(SANITIZE)/ordershop
$(BINARY): ; @$(call build,release)
$(SANITIZE)/ordershop: ; @$(call build,sanitize)
build = { test -f build/$(1)/build.ninja || cmake --preset $(1); } && cmake --build build/$(1)

# apt runs only when a package is missing, and asks nothing.
packages-run:   ; @$(call install,run)
packages-test:  ; @$(call install,test)
packages-check: ; @$(call install,check)
packages-fuzz:  ; @$(call install,fuzz)
define install
wanted=$$(sed -n 's/^$(1) //p' packages.txt); missing=; \
for package in $$wanted; do \
	dpkg-query -W -f '$${db:Status-Status}' $$package 2>/dev/null | grep -qx installed || \
		missing="$$missing $$package"; \
done; \
if [ -n "$$missing" ]; then \
	as_root=; \
	if [ "$$(id -u)" != 0 ]; then \
		command -v sudo >/dev/null || { \
			echo "Debian packages are missing, and only root can install them:$$missing" >&2; \
			exit 1; }; \
		as_root=sudo; \
	fi; \
	echo "installing:$$missing" >&2; \
	{ $$as_root apt-get update -qq && \
	  $$as_root env DEBIAN_FRONTEND=noninteractive \
		apt-get install -y -qq --no-install-recommends $$missing; } >&2 </dev/null; \
fi
endef
