// Shared by the synthetic benchmarks: arguments, random numbers, marked blocks and threads.
//
//   PROGRAM [SCALE [THREADS [ARGUMENT…]]]
//
// SCALE is the share of the full work, 1 by default. With THREADS 0, the default, the work is done by the main thread of a process that
// never has another; otherwise by so many new threads, each of which does all the work of one. With PIN_THREADS in the environment, each has
// a processor of its own, as far as there are: some schedulers let two threads share one while another is idle.
// SPDX-License-Identifier: Apache-2.0
#pragma once
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static double scale = 1;
static int threads;
static char **arguments;
static int argument_count;

__attribute__((unused)) static void begin(int count, char **values) {
  if (count > 1) scale = atof(values[1]);
  if (count > 2) threads = atoi(values[2]);
  if (scale <= 0 || threads < 0) {
    fprintf(stderr, "usage: %s [SCALE [THREADS [ARGUMENT…]]]\n", values[0]);
    exit(64);
  }
  arguments = values + 3;
  argument_count = count > 3 ? count - 3 : 0;
}

static inline const char *argument(int index, const char *otherwise) { return index < argument_count ? arguments[index] : otherwise; }

static inline long scaled(double full) {
  long count = (long)(full * scale);
  return count > 0 ? count : 1;
}

__attribute__((noreturn, unused)) static void fail(const char *reason) {
  dprintf(2, "%s\n", reason);
  _exit(1);
}

// Random numbers (xorshift), the same in every run.
struct random {
  uint64_t state;
};

static inline struct random seeded(int seed) { return (struct random){0x9e3779b97f4a7c15u * (uint64_t)(seed + 1)}; }

static inline uint32_t next(struct random *random) {
  uint64_t state = random->state;
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  random->state = state;
  return (uint32_t)(state >> 32);
}

// Below a limit, by multiplication, since a division would take as long as a malloc.
static inline uint32_t below(struct random *random, uint32_t limit) { return (uint32_t)(((uint64_t)next(random) * limit) >> 32); }

static inline uint32_t between(struct random *random, uint32_t least, uint32_t most) {
  return least + below(random, most - least + 1);
}

// Marked blocks, of at least 16 bytes: they begin with a word made of their address and size, and their size. A block that is handed
// out twice or overwritten ends the program when it is dropped.
struct marked {
  uint64_t mark, size;
};

static inline void *mark(void *block, size_t size) {
  if (!block) fail("out of memory");
  *(struct marked *)block = (struct marked){(uintptr_t)block ^ (size << 48) ^ 0x5aa5, size};
  return block;
}

static inline size_t check(void *block) {
  struct marked *marked = (struct marked *)block;
  if (marked->mark != ((uintptr_t)block ^ (marked->size << 48) ^ 0x5aa5)) fail("a block is not what was put into it");
  return marked->size;
}

static inline void *make(size_t size) { return mark(malloc(size), size); }

static inline void drop(void *block) {
  check(block);
  free(block);
}

// Runs the body on so many threads at once, with their numbers from 0, and waits for them; with count 0 on this thread.
struct thread {
  void (*body)(int index);
  int index;
  pthread_t id;
};

static void pin(int index) {
  cpu_set_t allowed, own;
  if (sched_getaffinity(0, sizeof allowed, &allowed)) fail("the processors are unknown");
  CPU_ZERO(&own);
  for (int processor = 0, left = index % CPU_COUNT(&allowed); left >= 0; processor++)
    if (CPU_ISSET(processor, &allowed) && left-- == 0) CPU_SET(processor, &own);
  if (sched_setaffinity(0, sizeof own, &own)) fail("a thread can't be pinned");
}

__attribute__((unused)) static void *enter(void *thread) {
  if (getenv("PIN_THREADS")) pin(((struct thread *)thread)->index);
  ((struct thread *)thread)->body(((struct thread *)thread)->index);
  return 0;
}

__attribute__((unused)) static void on_threads(int count, void (*body)(int index)) {
  struct thread all[count + 1];
  if (count == 0) body(0);
  for (int i = 0; i < count; i++) {
    all[i].body = body;
    all[i].index = i;
    if (pthread_create(&all[i].id, 0, enter, &all[i])) fail("a thread can't be made");
  }
  for (int i = 0; i < count; i++) pthread_join(all[i].id, 0);
}
