// What MALLOW_HARDEN=1 adds. Each case prints the address of the block that it damages; it must not live to return.
// SPDX-License-Identifier: Apache-2.0
#include "cases.h"
#include <malloc.h>

static void *(*volatile take)(size_t) = malloc;
static void (*volatile give_back)(void *) = free;

static char *announced(size_t size) {
  char *p = take(size);
  EXPECT(p);
  dprintf(1, "%p\n", p);
  return p;
}

static void overrun(size_t size) {
  volatile char *p = announced(size);
  p[size] = 0x55;
  give_back((void *)p);
}

CASE(overrun_24, "overrun of 24 bytes by one") { overrun(24); }
CASE(overrun_100, "overrun of 100 bytes by one") { overrun(100); }
CASE(overrun_1, "overrun of 1 byte by one") { overrun(1); }
CASE(overrun_16, "overrun of 16 bytes by one") { overrun(16); }
CASE(overrun_1000, "overrun of 1,000 bytes by one") { overrun(1000); }
CASE(overrun_30k, "overrun of 30,000 bytes by one") { overrun(30000); }

CASE(overrun_calloc, "overrun of a calloc'ed block by one") {
  volatile char *p = calloc(3, 11);
  dprintf(1, "%p\n", (void *)p);
  p[33] = 1;
  give_back((void *)p);
}

CASE(overrun_realloc, "overrun of a realloc'ed block by one") {
  volatile char *p = realloc(take(10), 50);
  dprintf(1, "%p\n", (void *)p);
  p[50] = 1;
  give_back((void *)p);
}

CASE(overrun_zero_byte, "overrun by a string's final zero") {
  char *p = announced(8);
  strcpy(p, "12345678");
  give_back(p);
}

// Frees enough for any quarantine to be emptied, and takes the blocks again.
static void churn(size_t size) {
  enum { count = 5000 };
  static void *blocks[count];
  for (int round = 0; round < 4; round++) {
    for (int i = 0; i < count; i++) blocks[i] = take(size);
    for (int i = 0; i < count; i++) give_back(blocks[i]);
  }
}

CASE(write_after_free, "write into a freed block") {
  volatile char *p = announced(64);
  give_back((void *)p);
  p[40] = 1;
  churn(64);
}

CASE(write_first_word_after_free, "write over the first word of a freed block") {
  void *volatile *p = (void *volatile *)announced(64);
  give_back((void *)p);
  *p = (void *)p;
  churn(64);
}

CASE(tamper_next, "freed block linked to a chosen address") {
  static char target[256] __attribute__((aligned(16)));
  void *volatile *p = (void *volatile *)announced(128);
  give_back((void *)p);
  *p = target;
  churn(128);
}
