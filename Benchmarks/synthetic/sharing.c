// Threads that write to small blocks of their own: where two threads' blocks lie in one cache line, each write waits for the other
// processor. "active": the threads allocate by themselves; "passive": they first free a block that the main thread made for them, next to
// those of the others, which an allocator that reuses it at once gives them back.
// SPDX-License-Identifier: Apache-2.0
#include "synthetic.h"

enum { WRITES = 2000 };
static void **given;

static void write_often(int index) {
  if (given) free(given[index]);
  for (long left = scaled(3e5); left > 0; left--) {
    volatile char *block = (volatile char *)malloc(8);
    if (!block) fail("out of memory");
    block[0] = 0;
    for (int i = 0; i < WRITES; i++) block[0]++;
    if (block[0] != (char)WRITES) fail("a block is not what was put into it");
    free((void *)block);
  }
}

int main(int count, char **values) {
  begin(count, values);
  if (!strcmp(argument(0, "active"), "passive")) {
    given = (void **)malloc(threads * sizeof *given);
    for (int i = 0; i < threads; i++) given[i] = malloc(8);
  }
  on_threads(threads, write_often);
  free(given);
}
