// Double and invalid deletes. Each case prints the address that it is about to misuse; it must not come back from that.
// SPDX-License-Identifier: Apache-2.0
#include "cases.h"
#include <new>

static void *(*volatile take)(std::size_t) = operator new;
static void (*volatile give_back)(void *) = operator delete;
static void (*volatile give_back_aligned)(void *, std::align_val_t) = operator delete;

static void delete_wrongly(void *p) {
  dprintf(1, "%p\n", p);
  give_back(p);
}

CASE(delete_twice, "double delete") {
  void *p = take(40);
  give_back(p);
  delete_wrongly(p);
}

CASE(delete_stack, "delete of a local variable") {
  alignas(16) char local[64];
  delete_wrongly(local);
}

CASE(delete_sized_twice, "double delete with a size") {
  void *p = take(40);
  give_back(p);
  dprintf(1, "%p\n", p);
  operator delete(p, std::size_t(40));
}

CASE(delete_aligned_twice, "double delete of an aligned block") {
  void *p = operator new(100, std::align_val_t(256));
  give_back_aligned(p, std::align_val_t(256));
  dprintf(1, "%p\n", p);
  give_back_aligned(p, std::align_val_t(256));
}
