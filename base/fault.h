/* fault.h - places at which a test lets the process die.
 *
 * ORDERSHOP_FAULT=name or name:n in the environment: the n-th time that FAULT("name") is passed ends the
 * process there, with nothing flushed and nobody told, as a kill would. Compiled only into builds
 * with tests; elsewhere it is nothing. On the loop's thread only. */
#ifndef BASE_FAULT_H
#define BASE_FAULT_H

enum { FAULT_EXIT_STATUS = 86 };

#ifdef FAULTS
#define FAULT(name) fault_pass(name)
#else
#define FAULT(name) ((void)0)
#endif

void fault_pass(const char *name);

#endif
