// A long-running program in small: its live blocks rise to 100 MiB and fall to a tenth of that, over and over, each time with other
// sizes. What was allocated together is mostly freed together, in runs of up to 200 blocks at random places, and what is left at low tide
// keeps its surroundings from being given back. Prints the resident size over the live one after the last low tide, two
// seconds in which blocks go on being replaced now and then.
// SPDX-License-Identifier: Apache-2.0
#include "memory.h"
#include <sys/mman.h>
#include <time.h>

enum { PLACES = 6000000, RUN = 200 };
static void **table;  // in the order of allocation, with holes
static long end, count;
static size_t live;
static struct random randoms;

static void close_holes(void) {
  long kept = 0;
  for (long i = 0; i < end; i++)
    if (table[i]) table[kept++] = table[i];
  end = kept;
}

static void add(size_t least, size_t most) {
  size_t size = between(&randoms, (uint32_t)least, (uint32_t)most);
  if (end == PLACES) close_holes();
  if (end == PLACES) fail("the table is full");
  table[end] = make(size);
  // Written in full: else memory that is not resident would count as live.
  memset((char *)table[end++] + sizeof(struct marked), 1, size - sizeof(struct marked));
  count++;
  live += size;
}

static void drop_run(void) {
  if (count < end / 2) close_holes();
  long at = below(&randoms, (uint32_t)end);
  for (long left = between(&randoms, 1, RUN); left > 0 && at < end; left--, at++) {
    if (!table[at]) continue;
    live -= check(table[at]);
    count--;
    drop(table[at]);
    table[at] = 0;
  }
}

int main(int argument_count, char **values) {
  begin(argument_count, values);
  static const struct {
    size_t least, most;
  } sizes[] = {{16, 100}, {64, 400}, {200, 2000}, {1000, 9000}, {4000, 40000}, {24, 48}, {100, 700}};
  enum { TIDES = sizeof sizes / sizeof *sizes };
  // Outside the heap, and resident from the start.
  table = (void **)mmap(0, PLACES * sizeof *table, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  if (table == MAP_FAILED) fail("out of memory");
  randoms = seeded(1);
  long before = resident_bytes();
  size_t high = (size_t)scaled(100 << 20), low = high / 10;
  for (int tide = 0; tide < TIDES; tide++) {
    // Two steps forward and one back.
    while (live < high) {
      for (int i = 0; i < RUN; i++) add(sizes[tide].least, sizes[tide].most);
      drop_run();
    }
    while (live > low) {
      for (int i = 0; i < RUN / 2; i++) add(sizes[tide].least, sizes[tide].most);
      drop_run();
      drop_run();
    }
  }
  // Low tide lasts: most allocators wait for a while before they give memory back.
  for (int pause = 0; pause < 20; pause++) {
    nanosleep(&(struct timespec){.tv_nsec = 100000000}, 0);
    for (long left = scaled(500); left > 0; left--) {
      while (live < low) add(sizes[TIDES - 1].least, sizes[TIDES - 1].most);
      drop_run();
    }
  }
  printf("score resident_over_live %.3f\n", (double)(resident_bytes() - before) / (double)live);
  for (long i = 0; i < end; i++)
    if (table[i]) drop(table[i]);
}
