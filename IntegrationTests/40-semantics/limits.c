// Life with too little memory: run under a limit of address space, of data, or of a control group.
// SPDX-License-Identifier: Apache-2.0
#include "cases.h"
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/resource.h>

// The limit in force, in bytes.
static size_t limit(void) {
  struct rlimit space, data;
  EXPECT(!getrlimit(RLIMIT_AS, &space) && !getrlimit(RLIMIT_DATA, &data));
  size_t least = space.rlim_cur < data.rlim_cur ? space.rlim_cur : data.rlim_cur;
  EXPECT(least != RLIM_INFINITY, "run this under a limit");
  return least;
}

struct node {
  struct node *next;
  size_t size;
};

// Allocates blocks of a size until there are no more; all are filled. Returns their number.
static size_t exhaust(struct node **list, size_t size) {
  size_t count = 0;
  for (;; count++) {
    errno = 0;
    struct node *n = malloc(size);
    if (!n) break;
    memset(n, (int)(uintptr_t)n >> 4, size);
    *n = (struct node){*list, size};
    *list = n;
  }
  EXPECT(errno == ENOMEM, "errno %d", errno);
  return count;
}

static void release(struct node **list) {
  while (*list) {
    struct node *n = *list;
    *list = n->next;
    const unsigned char *bytes = (const unsigned char *)n;
    for (size_t i = sizeof *n; i < n->size; i++) EXPECT(bytes[i] == (unsigned char)((uintptr_t)n >> 4), "byte %zu of %p", i, (void *)n);
    free(n);
  }
}

static void exhaust_twice(size_t size, size_t percent) {
  struct node *list = 0;
  size_t first = exhaust(&list, size);
  EXPECT(first * size >= limit() / 100 * percent, "only %zu of %zu KiB could be allocated", first * size >> 10, limit() >> 10);
  EXPECT(!malloc(limit()) && errno == ENOMEM);
  release(&list);
  size_t second = exhaust(&list, size);
  EXPECT(second >= first * 9 / 10, "%zu blocks the first time, %zu the second", first, second);
  release(&list);
}

CASE(small, "memory runs out in blocks of 100 bytes, is freed, and can be had again") { exhaust_twice(100, 50); }
CASE(medium, "memory runs out in blocks of 5,000 bytes, is freed, and can be had again") { exhaust_twice(5000, 50); }
CASE(large, "memory runs out in blocks of 300 KiB, is freed, and can be had again") { exhaust_twice(300 << 10, 50); }

CASE(other_sizes, "after all went to one size, all can go to another") {
  static const size_t sizes[] = {64, 100000, 1000, 2 << 20, 16, 20000};
  for (int i = 0; i < 6; i++) {
    struct node *list = 0;
    size_t count = exhaust(&list, sizes[i]);
    EXPECT(count * sizes[i] >= limit() / 100 * 40, "size %zu: only %zu of %zu KiB", sizes[i], count * sizes[i] >> 10, limit() >> 10);
    release(&list);
  }
}

CASE(growing, "a block that realloc can't grow any more keeps its contents") {
  size_t size = 1000;
  unsigned char *p = memset(malloc(size), 3, size);
  for (;;) {
    errno = 0;
    unsigned char *q = realloc(p, size + size / 2);
    if (!q) break;
    memset(q + size, 3, size / 2);
    size += size / 2;
    p = q;
  }
  EXPECT(errno == ENOMEM && size >= limit() / 10, "%zu bytes", size);
  for (size_t i = 0; i < size; i++) EXPECT(p[i] == 3);
  free(p);
}

// A thread can't be made once the others have taken all memory.
static pthread_barrier_t all_made;

static void *exhaust_in_thread(void *size) {
  pthread_barrier_wait(&all_made);
  for (int i = 0; i < 5; i++) {
    struct node *list = 0;
    exhaust(&list, (size_t)size);
    release(&list);
  }
  return 0;
}

CASE(threads, "four threads run out of memory at the same time") {
  pthread_t threads[4];
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, 256 << 10);
  pthread_barrier_init(&all_made, 0, 4);
  static const size_t sizes[] = {100, 3000, 70000, 1 << 20};
  for (int i = 0; i < 4; i++) EXPECT(!pthread_create(&threads[i], &attributes, exhaust_in_thread, (void *)sizes[i]));
  for (int i = 0; i < 4; i++) EXPECT(!pthread_join(threads[i], 0));
}
