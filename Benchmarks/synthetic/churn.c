// Small blocks replaced one by one in a table of them: the plainest load there is. Arguments: blocks in the table, replacements in
// millions. 256 blocks stay in the processor's cache, a million do not.
// SPDX-License-Identifier: Apache-2.0
#include "synthetic.h"

static void churn(int index) {
  struct random random = seeded(index);
  int count = atoi(argument(0, "256"));
  void **table = (void **)calloc(count, sizeof *table);
  for (long left = scaled(atof(argument(1, "40")) * 1e6); left > 0; left--) {
    void **place = &table[below(&random, count)];
    if (*place) drop(*place);
    *place = make(between(&random, 16, 128));
  }
  for (int i = 0; i < count; i++)
    if (table[i]) drop(table[i]);
  free(table);
}

int main(int count, char **values) {
  begin(count, values);
  on_threads(threads, churn);
}
