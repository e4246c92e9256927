// After Larson and Krishnan's load of a server: each thread replaces random blocks of a table for a while, then starts a successor that
// inherits the table, and ends. So most blocks are freed by another thread than the one that allocated them.
// SPDX-License-Identifier: Apache-2.0
#include "synthetic.h"
#include <semaphore.h>

enum { BLOCKS = 1000, GENERATIONS = 40 };

struct chain {
  struct random random;
  void *blocks[BLOCKS];
  int generation;
};
static sem_t ended;

static void *serve(void *argument) {
  struct chain *chain = (struct chain *)argument;
  for (long left = scaled(16e6 / GENERATIONS); left > 0; left--) {
    void **place = &chain->blocks[below(&chain->random, BLOCKS)];
    if (*place) drop(*place);
    *place = make(between(&chain->random, 16, 500));
  }
  pthread_t successor;
  if (++chain->generation == GENERATIONS) sem_post(&ended);
  else if (pthread_create(&successor, 0, serve, chain) || pthread_detach(successor)) fail("a thread can't be made");
  return 0;
}

int main(int count, char **values) {
  begin(count, values);
  sem_init(&ended, 0, 0);
  struct chain *chains = (struct chain *)calloc(threads, sizeof *chains);
  for (int i = 0; i < threads; i++) {
    chains[i].random = seeded(i);
    pthread_t first;
    if (pthread_create(&first, 0, serve, &chains[i]) || pthread_detach(first)) fail("a thread can't be made");
  }
  for (int i = 0; i < threads; i++) sem_wait(&ended);
  for (int i = 0; i < threads; i++)
    for (int k = 0; k < BLOCKS; k++)
      if (chains[i].blocks[k]) drop(chains[i].blocks[k]);
  free(chains);
}
