// What a process gives back: it fills 400 MiB with small blocks, frees 15 of 16, then all, idles, makes a few calls, asks for trimming, is
// visited by 64 threads, which allocate 4 MiB each, free it and go, and idles again. Prints the resident size in MiB after each step.
// Arguments: "scattered", where every sixteenth block is kept, or "runs", where it is every sixteenth MiB in the order of allocation; and
// the share of the full 400 MiB.
// SPDX-License-Identifier: Apache-2.0
#include "../synthetic/memory.h"
#include <malloc.h>
#include <sys/mman.h>
#include <time.h>

enum { PLACES = 2000000, VISITORS = 64, KEPT = 16 };
static void **table;
static long count, before;
static double share = 1;
static pthread_barrier_t all_filled;

static void report(const char *step) {
  printf("%s %.1f\n", step, (double)(resident_bytes() - before) / (1 << 20));
}

static void *written(struct random *random) {
  size_t size = between(random, 16, 512);
  return memset(make(size) + sizeof(struct marked), 1, size - sizeof(struct marked)) - sizeof(struct marked);
}

static void visit(int index) {
  struct random random = seeded(index);
  enum { MOST = 4 << 15 };
  void **blocks = (void **)calloc(MOST, sizeof *blocks);
  size_t size = 0, full = (size_t)(share * (4 << 20));
  long made = 0;
  for (; size < full; made++) size += check(blocks[made] = written(&random));
  pthread_barrier_wait(&all_filled);
  while (made) drop(blocks[--made]);
  free(blocks);
}

static void idle(void) { nanosleep(&(struct timespec){.tv_sec = 1}, 0); }

static void make_calls(void) {
  for (int i = 0; i < 5; i++) drop(make(100));
}

int main(int argument_count, char **values) {
  if (argument_count < 2) fail("usage: give-back scattered|runs [SHARE]");
  if (argument_count > 2) share = atof(values[2]);
  int runs = !strcmp(values[1], "runs");
  // Outside the heap, and resident from the start.
  table = (void **)mmap(0, PLACES * sizeof *table, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  if (table == MAP_FAILED) fail("out of memory");
  setvbuf(stdout, (char[BUFSIZ]){0}, _IOFBF, BUFSIZ);
  struct random random = seeded(1);
  before = resident_bytes();

  size_t size = 0, full = (size_t)(share * (400 << 20));
  while (size < full && count < PLACES) size += check(table[count++] = written(&random));
  report("filled");
  size_t at = 0;
  for (long i = 0; i < count; i++) {
    at += check(table[i]);
    if (runs ? (at >> 20) % KEPT == 0 : i % KEPT == 0) continue;
    drop(table[i]);
    table[i] = 0;
  }
  report("1/16-kept");
  for (long i = 0; i < count; i++)
    if (table[i]) drop(table[i]);
  report("all-freed");
  idle();
  report("idle-1-s");
  make_calls();
  report("5-calls");
  malloc_trim(0);
  report("trim");
  pthread_barrier_init(&all_filled, 0, VISITORS);
  on_threads(VISITORS, visit);
  report("64-threads");
  idle();
  make_calls();
  report("idle-calls");
}
