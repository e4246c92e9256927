// A library that allocates while it is loaded and frees while it is unloaded, and has thread-local storage of its own.
// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>
#include <string.h>

static char *block;
static __thread char local[2000];

__attribute__((constructor)) static void allocate(void) {
  block = malloc(3000);
  memset(block, 0x33, 3000);
}

__attribute__((destructor)) static void give_back(void) {
  for (int i = 0; i < 3000; i++)
    if (block[i] != 0x33) abort();
  free(block);
  free(malloc(100));
}

char *plugin_block(void) {
  memset(local, 1, sizeof local);
  return strdup("from a plugin");
}
