// Allocates in a way of its own for each case, says how many blocks and usable bytes it holds, and waits:
//   holds CASE FILE    writes "BLOCKS BYTES" to the file, then "ready" to standard output. Without a case it lists them.
// It calls nothing else of libc that allocates, so that its blocks are all there are, but for one of each thread that libc makes.
// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { CAPACITY = 1 << 18, THREADS = 6 };
static void **kept;
static _Atomic int count;
static _Thread_local uint64_t state = 88172645463325252;

static size_t random_below(size_t limit) {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return state % limit;
}

static void keep(void *block, size_t touched) {
  if (!block) abort();
  memset(block, 1, touched);
  kept[count++] = block;
}

static void release(int index) {
  free(kept[index]);
  kept[index] = NULL;
}

static void small(void) {
  for (int i = 0; i < 60000; i++) {
    size_t size = random_below(i % 10 ? 300 : 5000);
    keep(malloc(size), size);
  }
  for (int i = 0; i < 40000; i++) release((int)random_below(60000));
  // The end of the heap is free, and stays resident.
  for (int i = 59000; i < 60000; i++) release(i);
}

static void large(void) {
  for (int i = 0; i < 60; i++) {
    size_t size = 20000 + random_below(3 << 20);
    keep(malloc(size), size / 3);
  }
  for (int i = 0; i < 60; i += 3) release(i);
  for (int i = 1; i < 60; i += 3) kept[i] = realloc(kept[i], 1000 + random_below(6 << 20));
}

static void aligned(void) {
  for (size_t alignment = 16; alignment <= 1 << 20; alignment *= 2)
    for (int i = 0; i < 10; i++) {
      void *block = NULL;
      if (posix_memalign(&block, alignment, 1 + random_below(3 * alignment))) abort();
      keep(block, 1);
    }
  for (int i = 0; i < count; i += 2) release(i);
}

static void untouched(void) {
  keep(malloc(300 << 20), 10 << 20);
  keep(malloc(100 << 20), 0);
  keep(calloc(1, 50 << 20), 4096);
  for (int i = 0; i < 100; i++) keep(malloc(60000), 100);
}

static pthread_barrier_t barrier;
static int blocks_of_a_thread;

static void *thread(void *argument) {
  state += (uintptr_t)argument * 7919;
  for (int i = 0; i < blocks_of_a_thread; i++) keep(malloc(random_below(2000)), 0);
  pthread_barrier_wait(&barrier);
  // What others have allocated is freed too.
  for (int i = (int)(uintptr_t)argument; i < count; i += THREADS)
    if (i % 5 < 3) release(i);
  pthread_barrier_wait(&barrier);
  pause();
  return NULL;
}

static void threads(int blocks) {
  blocks_of_a_thread = blocks;
  pthread_barrier_init(&barrier, NULL, THREADS + 1);
  pthread_t id;
  for (uintptr_t i = 0; i < THREADS; i++) pthread_create(&id, NULL, thread, (void *)i);
  pthread_barrier_wait(&barrier);
  pthread_barrier_wait(&barrier);
}

static void idle_threads(void) { threads(0); }
static void busy_threads(void) { threads(5000); }
static void nothing(void) {}

static const struct {
  const char *name;
  void (*run)(void);
} cases[] = {{"nothing", nothing},     {"small", small},   {"large", large}, {"aligned", aligned},
             {"untouched", untouched}, {"idle-threads", idle_threads},       {"busy-threads", busy_threads}};

int main(int argc, char **argv) {
  kept = mmap(NULL, CAPACITY * sizeof *kept, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    if (argc < 3) dprintf(1, "%s\n", cases[i].name);
    else if (!strcmp(argv[1], cases[i].name)) cases[i].run();
  }
  if (argc < 3) return 0;
  size_t blocks = 0, bytes = 0;
  for (int i = 0; i < count; i++)
    if (kept[i]) {
      blocks++;
      bytes += malloc_usable_size(kept[i]);
    }
  dprintf(open(argv[2], O_WRONLY | O_CREAT | O_TRUNC, 0600), "%zu %zu\n", blocks, bytes);
  if (write(1, "ready\n", 6) != 6) return 1;
  for (;;) pause();
}
