// Blocks from calloc, of 16 bytes to 64 KiB, the smaller ones more often, written in full before they are freed, so that memory used again
// must be cleared.
// SPDX-License-Identifier: Apache-2.0
#include "synthetic.h"

enum { BLOCKS = 500 };

static void zeroed(int index) {
  struct random random = seeded(index);
  void *table[BLOCKS] = {0};
  for (long left = scaled(8e6); left > 0; left--) {
    void **place = &table[below(&random, BLOCKS)];
    if (*place) drop(*place);
    size_t size = between(&random, 16, 32) << below(&random, 1 + below(&random, 12));
    char *block = (char *)calloc(1, size);
    if (!block) fail("out of memory");
    if (block[0] || block[size / 2] || block[size - 1]) fail("a block from calloc is not zero");
    memset(block, 1, size);
    *place = mark(block, size);
  }
  for (int i = 0; i < BLOCKS; i++)
    if (table[i]) drop(table[i]);
}

int main(int count, char **values) {
  begin(count, values);
  on_threads(threads, zeroed);
}
