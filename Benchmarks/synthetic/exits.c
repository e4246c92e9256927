// Generations of threads: each thread frees the blocks that one of the generation before left, allocates blocks for the next, and ends.
// SPDX-License-Identifier: Apache-2.0
#include "synthetic.h"

enum { BLOCKS = 2000 };
static void *(*left_over)[BLOCKS];
static long generation;

static void live(int index) {
  struct random random = seeded((int)generation * 100 + index);
  // Those of the neighbour, so that no thread frees what the heap that it took over allocated.
  void **blocks = left_over[(index + 1) % threads];
  for (int i = 0; i < BLOCKS; i++) {
    if (blocks[i]) drop(blocks[i]);
    blocks[i] = make(between(&random, 16, 800));
  }
}

int main(int count, char **values) {
  begin(count, values);
  left_over = (void *(*)[BLOCKS])calloc(threads, sizeof *left_over);
  for (long generations = scaled(1000); generation < generations; generation++) on_threads(threads, live);
  for (int i = 0; i < threads; i++)
    for (int k = 0; k < BLOCKS; k++) drop(left_over[i][k]);
  free(left_over);
}
