// Arrays that grow by realloc, many at a time. "vectors": by half their size, to up to 4 MiB; "strings": by a few bytes, each time to the
// exact size, to up to 4 KiB.
// SPDX-License-Identifier: Apache-2.0
#include "synthetic.h"

enum { ARRAYS = 100 };

struct array {
  void *block;
  size_t size, end;
};

static void *resized(struct array *array, size_t size) {
  // What was moved must have come along: the mark at the new address is then made anew.
  void *block = realloc(array->block, size);
  if (!block) fail("out of memory");
  struct marked old = *(struct marked *)block;
  if (old.size != array->size) fail("realloc lost a block's beginning");
  if (((char *)block)[array->size - 1] != (char)array->size) fail("realloc lost a block's end");
  return block;
}

static void set(struct array *array, void *block, size_t size) {
  array->block = mark(block, size);
  array->size = size;
  ((char *)block)[size - 1] = (char)size;
}

static void grow(int index) {
  struct random random = seeded(index);
  int vectors = !strcmp(argument(0, "vectors"), "vectors");
  struct array arrays[ARRAYS] = {{0}};
  for (long left = scaled(vectors ? 2e5 : 2e7); left > 0; left--) {
    struct array *array = &arrays[below(&random, ARRAYS)];
    if (array->size < array->end) {
      size_t size = vectors ? array->size + array->size / 2 : array->size + between(&random, 1, 40);
      set(array, resized(array, size), size);
    } else {
      if (array->block) drop(array->block);
      // Most stay small: the end is below a limit that is itself random.
      array->end = 32 + below(&random, 1 + below(&random, vectors ? 4 << 20 : 4 << 10));
      set(array, malloc(24), 24);
    }
  }
  for (int i = 0; i < ARRAYS; i++)
    if (arrays[i].block) drop(arrays[i].block);
}

int main(int count, char **values) {
  begin(count, values);
  on_threads(threads, grow);
}
