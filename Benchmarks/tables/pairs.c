// A bare loop of malloc and free, for counting instructions: pairs SIZE|random|calloc COUNT. "random" is up to 512 bytes, "calloc" is 64.
// SPDX-License-Identifier: Apache-2.0
#include "../synthetic/synthetic.h"

// As far as the compiler knows, the block is used.
static inline void use(void *block) { __asm__ volatile("" : : "r"(block) : "memory"); }

int main(int count, char **values) {
  if (count != 3) fail("usage: pairs SIZE|random|calloc COUNT");
  long pairs = atol(values[2]);
  size_t size = (size_t)atol(values[1]);
  if (!strcmp(values[1], "random"))
    for (uint64_t state = 1; pairs; pairs--) {
      state = state * 6364136223846793005u + 1442695040888963407u;  // Knuth's generator, whose upper bits are good
      void *block = malloc((state >> 55) + 1);
      use(block);
      free(block);
    }
  else if (!strcmp(values[1], "calloc"))
    for (; pairs; pairs--) {
      void *block = calloc(1, 64);
      use(block);
      free(block);
    }
  else
    for (; pairs; pairs--) {
      void *block = malloc(size);
      use(block);
      free(block);
    }
}
