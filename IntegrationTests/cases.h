// Test programs made of named cases: without arguments they list them, with a name they run that case in this process.
// SPDX-License-Identifier: Apache-2.0
#pragma once
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct test_case {
  const char *name;
  const char *title;
  void (*body)(void);
  struct test_case *next;
};

static struct test_case *first_case;
static struct test_case **last_case = &first_case;

// CASE(name, "what holds") { … }
#define CASE(NAME, TITLE)                                                 \
  static void NAME(void);                                                 \
  __attribute__((constructor)) static void register_##NAME(void) {        \
    static struct test_case self = {#NAME, TITLE, NAME, 0};               \
    *last_case = &self;                                                   \
    last_case = &self.next;                                               \
  }                                                                       \
  static void NAME(void)

// Ends the case as failed, from any thread. dprintf, since stdio may need the allocator that just failed.
#define EXPECT(CONDITION, ...)                                            \
  do {                                                                    \
    if (!(CONDITION)) {                                                   \
      dprintf(2, "line %d: not so: %s.", __LINE__, #CONDITION);           \
      dprintf(2, " " __VA_ARGS__);                                        \
      dprintf(2, "\n");                                                   \
      _exit(1);                                                           \
    }                                                                     \
  } while (0)

// Ends the case as impossible on this machine.
#define SKIP(REASON)                                                      \
  do {                                                                    \
    dprintf(2, REASON "\n");                                              \
    _exit(77);                                                            \
  } while (0)

int main(int argc, char **argv) {
  for (struct test_case *c = first_case; c; c = c->next) {
    if (argc < 2) printf("%s\t%s\n", c->name, c->title);
    else if (!strcmp(argv[1], c->name)) {
      c->body();
      return 0;
    }
  }
  return argc < 2 ? 0 : 64;
}
