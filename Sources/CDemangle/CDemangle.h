// libiberty's demanglers for C++ and Rust, with a bound on what a hostile name can make them print.
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <libiberty/demangle.h>
#include <setjmp.h>
#include <stddef.h>
#include <string.h>

struct mallow_demangled {
  char *bytes;
  size_t capacity;
  size_t count;
  jmp_buf overflow;
};

static inline void mallow_demangled_append(const char *text, size_t length, void *opaque) {
  struct mallow_demangled *output = (struct mallow_demangled *)opaque;
  if (length > output->capacity - output->count) longjmp(output->overflow, 1);
  memcpy(output->bytes + output->count, text, length);
  output->count += length;
}

/// Demangles a Rust or C++ name into `bytes`. Returns the length written; 0 where it is no such name or its text
/// doesn't fit.
///
/// Substitutions let a name of a few hundred bytes print gigabytes and neither demangler has a bound: printing is
/// left by `longjmp` as soon as the buffer is full. Both keep their state on the stack, so nothing is lost by that.
static inline size_t mallow_demangle(const char *mangled, char *bytes, size_t capacity) {
  struct mallow_demangled output = {bytes, capacity, 0, {}};
  const int options = DMGL_PARAMS | DMGL_ANSI | DMGL_RET_DROP;
  if (setjmp(output.overflow)) return 0;
  if (rust_demangle_callback(mangled, options, mallow_demangled_append, &output)) return output.count;
  output.count = 0;
  if (cplus_demangle_v3_callback(mangled, options, mallow_demangled_append, &output)) return output.count;
  return 0;
}
