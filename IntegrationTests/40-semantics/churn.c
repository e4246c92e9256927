// Goes through 2 GiB of blocks of all sizes with never more than 30 MiB live. Where all that is freed is used again or given
// back, that fits into 100 MiB.
// SPDX-License-Identifier: Apache-2.0
#include "cases.h"

CASE(churn, "2 GiB in blocks of all sizes, at most 30 MiB live, in a control group of 100 MiB") {
  enum { count = 60000 };
  static char *blocks[count];
  static size_t sizes[count];
  size_t live = 0, total = 0;
  unsigned seed = 7;
  // The sizes change over time, so that memory must move from one size to another.
  while (total < ((size_t)2 << 30)) {
    size_t shift = 4 + total / (200 << 20) * 5 % 17;
    size_t size = ((size_t)1 << shift) + rand_r(&seed) % ((size_t)1 << shift);
    while (live + size > (30 << 20)) {
      int i = rand_r(&seed) % count;
      if (!blocks[i]) continue;
      EXPECT(blocks[i][sizes[i] - 1] == 1);
      free(blocks[i]);
      blocks[i] = 0;
      live -= sizes[i];
    }
    int i = rand_r(&seed) % count;
    if (blocks[i]) {
      free(blocks[i]);
      live -= sizes[i];
    }
    EXPECT((blocks[i] = malloc(size)));
    memset(blocks[i], 1, size);
    sizes[i] = size;
    live += size;
    total += size;
  }
}
