// The smallest process that uses malloc: prints its private memory in KiB once it has a block, and the library that the block is from.
// Only what was written counts: what is merely mapped from the library's file is shared by all who use it.
// SPDX-License-Identifier: Apache-2.0
#include "../synthetic/memory.h"
#include <dlfcn.h>

int main(void) {
  drop(make(100));
  long private = memory_of("\nPrivate_Dirty:");
  Dl_info from;
  if (!dladdr(dlsym(RTLD_DEFAULT, "malloc"), &from)) fail("malloc is from nowhere");
  printf("%ld %s\n", private / 1024, from.dli_fname);
}
