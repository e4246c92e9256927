// Everything at random: sizes from 16 bytes to 128 KiB, the smaller ones far more often; blocks freed soon, late or by another thread, to
// which they came through a common table. Argument: blocks of each thread in millions.
// SPDX-License-Identifier: Apache-2.0
#include "synthetic.h"
#include <stdatomic.h>

enum { PASSED = 1000, KEPT = 20000 };
static _Atomic(void *) passed[PASSED];

static size_t some_size(struct random *random) {
  // Each doubling is a bit more than half as likely as the one before.
  int doublings = 0;
  while (doublings < 13 && below(random, 100) < 55) doublings++;
  return ((size_t)16 << doublings) + below(random, 16 << doublings) / 16 * 16;
}

static void stress(int index) {
  struct random random = seeded(index);
  void **kept = (void **)calloc(KEPT, sizeof *kept);
  for (long left = scaled(atof(argument(0, "30")) * 1e6); left > 0; left--) {
    void *block = make(some_size(&random));
    uint32_t fate = below(&random, 100);
    if (fate < 50) {
      drop(block);
    } else if (fate < 90) {
      void **place = &kept[below(&random, KEPT)];
      if (*place) drop(*place);
      *place = block;
    } else {
      void *old = atomic_exchange_explicit(&passed[below(&random, PASSED)], block, memory_order_acq_rel);
      if (old) drop(old);
    }
  }
  for (int i = 0; i < KEPT; i++)
    if (kept[i]) drop(kept[i]);
  free(kept);
}

int main(int count, char **values) {
  begin(count, values);
  on_threads(threads, stress);
  for (int i = 0; i < PASSED; i++)
    if (passed[i]) drop(passed[i]);
}
