/* What every unit test includes: cmocka needs these in this order. */
#ifndef TALLY_TESTS_UNIT_H
#define TALLY_TESTS_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#endif
