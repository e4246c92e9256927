// Batches of blocks with mixed lifetimes: of each batch, most are freed at once, in one of three orders, and every fourth lives on until
// newer ones push it out. With the argument "shared", instead of "own", the survivors are in one table of all threads, and who pushes a
// block out is often not who made it. Argument two: blocks of each thread in millions.
// SPDX-License-Identifier: Apache-2.0
#include "synthetic.h"
#include <stdatomic.h>

enum { BATCH = 200, SURVIVORS = 10000 };
static _Atomic(void *) common[SURVIVORS];
static int shared;

static size_t some_size(struct random *random) {
  uint32_t kind = below(random, 100);
  return kind < 60 ? between(random, 16, 64) : kind < 90 ? between(random, 65, 256) : between(random, 257, 1024);
}

static void live(int index) {
  struct random random = seeded(index);
  _Atomic(void *) *survivors = shared ? common : (_Atomic(void *) *)calloc(SURVIVORS, sizeof *survivors);
  void *batch[BATCH];
  for (long left = scaled(atof(argument(1, "40")) * 1e6 / BATCH); left > 0; left--) {
    size_t size = some_size(&random);
    for (int i = 0; i < BATCH; i++) batch[i] = make(i % 3 ? size : some_size(&random));
    for (int i = 0; i < BATCH; i += 4) {
      void *old = atomic_exchange_explicit(&survivors[below(&random, SURVIVORS)], batch[i], memory_order_acq_rel);
      if (old) drop(old);
    }
    switch (below(&random, 3)) {
      case 0:
        for (int i = 0; i < BATCH; i++)
          if (i % 4) drop(batch[i]);
        break;
      case 1:
        for (int i = BATCH - 1; i >= 0; i--)
          if (i % 4) drop(batch[i]);
        break;
      default:
        for (int step = 1; step < 4; step++)
          for (int i = step; i < BATCH; i += 4) drop(batch[i]);
    }
  }
  if (shared) return;
  for (int i = 0; i < SURVIVORS; i++)
    if (survivors[i]) drop(survivors[i]);
  free(survivors);
}

int main(int count, char **values) {
  begin(count, values);
  shared = !strcmp(argument(0, ""), "shared");
  on_threads(threads, live);
  for (int i = 0; i < SURVIVORS; i++)
    if (common[i]) drop(common[i]);
}
