// Aligned blocks, replaced in a table: alignments of 32 bytes to a page, the smaller ones more often.
// SPDX-License-Identifier: Apache-2.0
#include "synthetic.h"

enum { BLOCKS = 10000 };

static void aligned(int index) {
  struct random random = seeded(index);
  void **table = (void **)calloc(BLOCKS, sizeof *table);
  for (long left = scaled(8e6); left > 0; left--) {
    void **place = &table[below(&random, BLOCKS)];
    if (*place) drop(*place);
    size_t alignment = (size_t)32 << __builtin_ctz(next(&random) | 128), size = between(&random, 16, 1000);
    if (posix_memalign(place, alignment, size)) fail("out of memory");
    if ((uintptr_t)*place % alignment) fail("a block is not aligned");
    mark(*place, size);
  }
  for (int i = 0; i < BLOCKS; i++)
    if (table[i]) drop(table[i]);
  free(table);
}

int main(int count, char **values) {
  begin(count, values);
  on_threads(threads, aligned);
}
