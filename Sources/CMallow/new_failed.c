// operator new where the fast path finds no block. In C, since the new-handler and std::bad_alloc are thrown through these frames
// and Swift's code carries no tables for that.
// SPDX-License-Identifier: Apache-2.0
#include "CMallow.h"

// As [new.delete.single] says: calls the new-handler until it has made room, and throws std::bad_alloc where there is none.
// Both live in the C++ library, which this library does not link with.
static void *new_failed(size_t size, size_t alignment) {
  mallow_new_handler_function handler;
  while ((handler = mallow_new_handler())) {
    handler();
    void *block = mallow_memalign(alignment, size);
    if (block) return block;
  }
  mallow_throw_bad_alloc();
}

void *mallow_new_slow(size_t size) {
  void *block = mallow_malloc(size);
  return block ? block : new_failed(size, 16);
}

void *mallow_new_aligned(size_t size, size_t alignment) {
  void *block = mallow_memalign(alignment, size);
  return block ? block : new_failed(size, alignment);
}
