// A crowd of small threads at once, each with a few small blocks: what a thread costs. Half of its blocks are freed by its neighbour.
// SPDX-License-Identifier: Apache-2.0
#include "synthetic.h"

enum { BLOCKS = 60 };
static void *(*blocks)[BLOCKS];
static pthread_barrier_t all_here;

static void live(int index) {
  struct random random = seeded(index);
  for (int i = 0; i < BLOCKS; i++) blocks[index][i] = make(between(&random, 16, 512));
  pthread_barrier_wait(&all_here);
  for (int i = 0; i < BLOCKS; i++) drop(blocks[(index + i % 2) % threads][i]);
}

int main(int count, char **values) {
  begin(count, values);
  blocks = (void *(*)[BLOCKS])calloc(threads, sizeof *blocks);
  pthread_barrier_init(&all_here, 0, threads);
  for (long rounds = scaled(100); rounds > 0; rounds--) on_threads(threads, live);
  free(blocks);
}
