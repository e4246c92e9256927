// Blocks of powers of two from 16 bytes to 4 MiB, each as often as the others, replaced in a small table. Only the first bytes are
// written.
// SPDX-License-Identifier: Apache-2.0
#include "synthetic.h"

enum { BLOCKS = 64 };

static void powers(int index) {
  struct random random = seeded(index);
  void *table[BLOCKS] = {0};
  for (long left = scaled(8e6); left > 0; left--) {
    void **place = &table[below(&random, BLOCKS)];
    if (*place) drop(*place);
    *place = make((size_t)16 << below(&random, 19));
  }
  for (int i = 0; i < BLOCKS; i++)
    if (table[i]) drop(table[i]);
}

int main(int count, char **values) {
  begin(count, values);
  on_threads(threads, powers);
}
