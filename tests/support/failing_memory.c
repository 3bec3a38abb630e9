/* Allocations that fail when a test says so. Linked into the executable of builds with tests, where the linker
 * sends all calls of these functions here (--wrap), those of the static libraries too.
 *
 * With ORDERSHOP_FAULT=memory in the environment, the signal SIGRTMIN + k lets the 2^k-th allocation from then on
 * fail, in whatever thread it is. Signals until then change nothing. */
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum { POWERS = 20 };

static atomic_long left; /* allocations up to the one that fails; 0 or less: none will */

static bool fails(void)
{
	if (atomic_load_explicit(&left, memory_order_relaxed) <= 0 ||
	    atomic_fetch_sub(&left, 1) != 1)
		return false;
	errno = ENOMEM;
	return true;
}

/* A count that is under way goes on. */
static void begin(int number)
{
	long none = atomic_load(&left);
	if (none <= 0)
		atomic_compare_exchange_strong(&left, &none, 1L << (number - SIGRTMIN));
}

__attribute__((constructor)) static void listen_for_signals(void)
{
	const char *fault = getenv("ORDERSHOP_FAULT");
	if (fault == NULL || strcmp(fault, "memory") != 0)
		return;
	struct sigaction action = { .sa_handler = begin, .sa_flags = SA_RESTART };
	for (int k = 0; k < POWERS; k++)
		sigaction(SIGRTMIN + k, &action, NULL);
}

#define WRAP(result, name, declared, passed)                                                       \
	result __real_##name declared;                                                             \
	result __wrap_##name declared;                                                             \
	result __wrap_##name declared                                                              \
	{                                                                                          \
		if (fails())                                                                       \
			return NULL;                                                               \
		return __real_##name passed;                                                       \
	}
WRAP(void *, malloc, (size_t size), (size))
WRAP(void *, calloc, (size_t count, size_t size), (count, size))
WRAP(void *, realloc, (void *memory, size_t size), (memory, size))
WRAP(char *, strdup, (const char *text), (text))
WRAP(char *, strndup, (const char *text, size_t size), (text, size))

int __real_vasprintf(char **out, const char *format, va_list args);
int __wrap_vasprintf(char **out, const char *format, va_list args);
int __wrap_asprintf(char **out, const char *format, ...);

int __wrap_vasprintf(char **out, const char *format, va_list args)
{
	return fails() ? -1 : __real_vasprintf(out, format, args);
}

int __wrap_asprintf(char **out, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	int len = __wrap_vasprintf(out, format, args);
	va_end(args);
	return len;
}

/* operator new, which throws. */
void _ZSt17__throw_bad_allocv(void) __attribute__((noreturn));
void *__real__Znwm(size_t size);
void *__wrap__Znwm(size_t size);

void *__wrap__Znwm(size_t size)
{
	if (fails())
		_ZSt17__throw_bad_allocv();
	return __real__Znwm(size);
}
