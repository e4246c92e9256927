// Batches of equal blocks: so many allocated, then all freed, in turns in the order of allocation and in the reverse one.
// SPDX-License-Identifier: Apache-2.0
#include "synthetic.h"

enum { LARGEST_BATCH = 1600 };

static void batches(size_t size, int batch, long rounds) {
  static __thread void *blocks[LARGEST_BATCH];
  for (long round = 0; round < rounds; round++) {
    for (int i = 0; i < batch; i++) blocks[i] = make(size);
    if (round % 2)
      for (int i = batch - 1; i >= 0; i--) drop(blocks[i]);
    else
      for (int i = 0; i < batch; i++) drop(blocks[i]);
  }
}

static void simple(int index) {
  (void)index;
  long each = scaled(2e6);
  for (size_t size = 16; size <= 1024; size *= 2)
    for (int batch = LARGEST_BATCH; batch >= 25; batch /= 4) batches(size, batch, each / batch + 1);
}

int main(int count, char **values) {
  begin(count, values);
  on_threads(threads, simple);
}
