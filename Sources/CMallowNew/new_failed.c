// operator new where the fast path finds no block. In C, since the new-handler and std::bad_alloc are thrown through these frames
// and Swift's code carries no tables for that.
// SPDX-License-Identifier: Apache-2.0
#include "mallow_new.h"
#include "CMallow.h"

// C++'s new-handler and std::bad_alloc, looked for in the C++ library where the process has one: it may have been loaded by
// dlopen, out of the reach of a weak symbol.
static inline void *mallow_find_in_cxx(const char *name) {
  void *found = dlsym(NULL /* RTLD_DEFAULT */, name);
  if (found) return found;
  void *library = dlopen("libstdc++.so.6", RTLD_NOLOAD | RTLD_LAZY);
  return library ? dlsym(library, name) : NULL;
}
typedef void (*mallow_new_handler_function)(void);
static inline mallow_new_handler_function mallow_new_handler(void) {
  mallow_new_handler_function (*get)(void) = (mallow_new_handler_function(*)(void))mallow_find_in_cxx("_ZSt15get_new_handlerv");
  return get ? get() : NULL;
}
static inline _Noreturn void mallow_throw_bad_alloc(void) {
  void (*throw_it)(void) = (void (*)(void))mallow_find_in_cxx("_ZSt17__throw_bad_allocv");
  if (throw_it) throw_it();
  abort();
}

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
