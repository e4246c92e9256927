// operator new where the fast path finds no block. In C, since the new-handler and std::bad_alloc are thrown through these frames
// and Swift's code carries no tables for that.
// SPDX-License-Identifier: Apache-2.0
#include "mallow_new.h"
#include "CMallow.h"

// What is wanted of the C++ library is looked for in it, where the process has it: it may have been loaded by dlopen, out of
// the reach of a weak symbol.
static void *in_cxx_library(const char *name) {
  void *library = dlopen("libstdc++.so.6", RTLD_NOLOAD | RTLD_LAZY);
  if (!library) library = dlopen("libc++.so.1", RTLD_NOLOAD | RTLD_LAZY);
  return dlsym(library /* or RTLD_DEFAULT, which is NULL: a program linked with it statically */, name);
}
typedef void (*mallow_new_handler_function)(void);
static inline mallow_new_handler_function mallow_new_handler(void) {
  mallow_new_handler_function (*get)(void) = (mallow_new_handler_function(*)(void))in_cxx_library("_ZSt15get_new_handlerv");
  return get ? get() : NULL;
}
static inline _Noreturn void mallow_throw_bad_alloc(void) {
  void (*throw_it)(void) = (void (*)(void))in_cxx_library("_ZSt17__throw_bad_allocv");
  if (throw_it) throw_it();
  abort();
}

extern void *mallow_new_nothrow(size_t size, const void *tag);

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

// An exception that the new-handler throws must not leave these forms, and C can't catch it: the C++ library's own form, which this
// one stands before, calls operator new and catches what it throws.
void *mallow_new_nothrow_slow(size_t size, const void *tag) {
  void *block = mallow_malloc(size);
  if (block) return block;
  void *(*form)(size_t, const void *) = (void *(*)(size_t, const void *))in_cxx_library("_ZnwmRKSt9nothrow_t");
  return form && (void *)form != (void *)mallow_new_nothrow ? form(size, tag) : NULL;
}

void *mallow_new_aligned_nothrow(size_t size, size_t alignment, const void *tag) {
  void *block = mallow_memalign(alignment, size);
  if (block) return block;
  void *(*form)(size_t, size_t, const void *) =
    (void *(*)(size_t, size_t, const void *))in_cxx_library("_ZnwmSt11align_val_tRKSt9nothrow_t");
  return form && (void *)form != (void *)mallow_new_aligned_nothrow ? form(size, alignment, tag) : NULL;
}
