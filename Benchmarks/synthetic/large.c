// Blocks of 1 to 32 MiB, replaced in a table of eight. "all": every page of each block is written; "first": only its first bytes, as by a
// program that uses big buffers for little. Argument two: replacements.
// SPDX-License-Identifier: Apache-2.0
#include "synthetic.h"

enum { BLOCKS = 8, PAGE = 4096 };

static void replace(int index) {
  struct random random = seeded(index);
  int all = !strcmp(argument(0, "all"), "all");
  void *table[BLOCKS] = {0};
  for (long left = scaled(atof(argument(1, "100"))); left > 0; left--) {
    void **place = &table[below(&random, BLOCKS)];
    if (*place) drop(*place);
    size_t size = between(&random, 1 << 20, 32 << 20);
    *place = make(size);
    for (size_t at = PAGE; all && at < size; at += PAGE) ((char *)*place)[at] = 1;
  }
  for (int i = 0; i < BLOCKS; i++)
    if (table[i]) drop(table[i]);
}

int main(int count, char **values) {
  begin(count, values);
  on_threads(threads, replace);
}
