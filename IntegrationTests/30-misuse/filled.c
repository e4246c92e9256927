// Under MALLOW_HARDEN=1 a freed block does not keep its contents: what was a secret is gone.
// SPDX-License-Identifier: Apache-2.0
#include "cases.h"
#include <malloc.h>

static void (*volatile give_back)(void *) = free;

static void fill_and_free(size_t size) {
  volatile unsigned char *p = malloc(size);
  memset((void *)p, 0x5a, size);
  give_back((void *)p);
  for (size_t i = 0; i < size; i++) EXPECT(p[i] != 0x5a, "Byte %zu of %zu is still there.", i, size);
}

CASE(small, "a freed block of 64 bytes is filled") { fill_and_free(64); }
CASE(medium, "a freed block of 4,000 bytes is filled") { fill_and_free(4000); }

CASE(usable, "all that malloc_usable_size promises can be used") {
  for (size_t size = 0; size < 20000; size += 1 + size / 7) {
    char *p = malloc(size);
    EXPECT(malloc_usable_size(p) >= size);
    memset(p, 1, malloc_usable_size(p));
    give_back(p);
  }
}
