/* suite.h - main() of a Check program. */
#ifndef TESTS_SUPPORT_SUITE_H
#define TESTS_SUPPORT_SUITE_H

#include <check.h>

/* Runs the suite and frees it. Returns the exit status of the program: 0, or 1 if a test failed. */
int run_suite(Suite *suite);

#endif
