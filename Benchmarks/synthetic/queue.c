// Producers allocate, consumers free: every block crosses from one thread to another through a queue, in batches, whose arrays do too.
// Arguments: producers, consumers.
// SPDX-License-Identifier: Apache-2.0
#include "synthetic.h"

enum { BATCH = 128, ROOM = 64 };

static struct {
  pthread_mutex_t lock;
  pthread_cond_t filled, emptied;
  void **batches[ROOM];
  int first, count, producers;
} queue = {.lock = PTHREAD_MUTEX_INITIALIZER, .filled = PTHREAD_COND_INITIALIZER, .emptied = PTHREAD_COND_INITIALIZER};
static int producers;

static void put(void **batch) {
  pthread_mutex_lock(&queue.lock);
  while (queue.count == ROOM) pthread_cond_wait(&queue.emptied, &queue.lock);
  queue.batches[(queue.first + queue.count++) % ROOM] = batch;
  pthread_cond_signal(&queue.filled);
  pthread_mutex_unlock(&queue.lock);
}

// The oldest batch, or null where there will be no more.
static void **get(void) {
  pthread_mutex_lock(&queue.lock);
  while (queue.count == 0 && queue.producers > 0) pthread_cond_wait(&queue.filled, &queue.lock);
  void **batch = 0;
  if (queue.count > 0) {
    batch = queue.batches[queue.first];
    queue.first = (queue.first + 1) % ROOM;
    queue.count--;
    pthread_cond_signal(&queue.emptied);
  }
  pthread_mutex_unlock(&queue.lock);
  return batch;
}

static void produce(int index) {
  struct random random = seeded(index);
  for (long left = scaled(12e6 / BATCH / producers); left > 0; left--) {
    void **batch = (void **)malloc(BATCH * sizeof *batch);
    for (int i = 0; i < BATCH; i++) batch[i] = make(between(&random, 16, 512));
    put(batch);
  }
  pthread_mutex_lock(&queue.lock);
  queue.producers--;
  pthread_cond_broadcast(&queue.filled);
  pthread_mutex_unlock(&queue.lock);
}

static void consume(void) {
  for (void **batch; (batch = get());) {
    for (int i = 0; i < BATCH; i++) drop(batch[i]);
    free(batch);
  }
}

static void work(int index) {
  if (index < producers) produce(index);
  else consume();
}

int main(int count, char **values) {
  begin(count, values);
  producers = queue.producers = atoi(argument(0, "1"));
  on_threads(producers + atoi(argument(1, "1")), work);
}
