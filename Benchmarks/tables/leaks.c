// A heap to search for leaks: so many MiB of linked nodes, whose order in memory is none, all reachable or all lost.
//
//   leaks lists|chain|lost NODE_BYTES MIB
//
// lists: a table of lists of a hundred nodes. chain: a single list. lost: a single list that nothing points to. The nodes are shuffled,
// so that following them misses every cache, as in a heap that has been in use for long. Prints "ready PID" and waits until its input
// ends; under LeakSanitizer or Valgrind it has the heap searched for each line of its input, and prints the seconds of CPU time and of
// wall time that this took.
// SPDX-License-Identifier: Apache-2.0
#include "../synthetic/memory.h"
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <valgrind/memcheck.h>

int __lsan_do_recoverable_leak_check(void) __attribute__((weak));

struct node {
  struct node *next;
  long payload[];
};
enum { LIST = 100 };
static struct node **table;

static double seconds(struct timeval time) { return time.tv_sec + time.tv_usec / 1e6; }

// LeakSanitizer searches in a process of its own, which shares the memory.
static double cpu_time(void) {
  struct rusage self, children;
  getrusage(RUSAGE_SELF, &self);
  getrusage(RUSAGE_CHILDREN, &children);
  return seconds(self.ru_utime) + seconds(self.ru_stime) + seconds(children.ru_utime) + seconds(children.ru_stime);
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec + time.tv_nsec / 1e9;
}

static struct node *made(size_t size, long number) {
  struct node *node = (struct node *)malloc(size);
  if (!node) fail("out of memory");
  for (size_t i = 0; i < size / sizeof(long) - 1; i++) node->payload[i] = number + (long)i;
  return node;
}

static void shuffle(struct node **nodes, long count) {
  struct random random = seeded(1);
  for (long i = count - 1; i > 0; i--) {
    long other = (long)between(&random, 0, (size_t)i);
    struct node *node = nodes[i];
    nodes[i] = nodes[other];
    nodes[other] = node;
  }
}

static void build(const char *shape, size_t size, long count) {
  long length = !strcmp(shape, "lists") ? LIST : count;
  // What orders the nodes must not keep them reachable: it lies outside the heap, and goes.
  size_t bytes = (size_t)count * sizeof(struct node *);
  struct node **nodes = (struct node **)mmap(0, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (nodes == MAP_FAILED) fail("out of memory");
  for (long i = 0; i < count; i++) nodes[i] = made(size, i);
  shuffle(nodes, count);
  for (long i = 0; i < count; i++) nodes[i]->next = (i + 1) % length && i + 1 < count ? nodes[i + 1] : 0;
  table = (struct node **)malloc((size_t)(count / length + 1) * sizeof *table);
  for (long i = 0; i < count; i += length) table[i / length] = nodes[i];
  munmap(nodes, bytes);
  if (!strcmp(shape, "lost")) table[0] = 0;
}

static void search(void) {
  double cpu = cpu_time(), wall = now();
  if (__lsan_do_recoverable_leak_check) __lsan_do_recoverable_leak_check();
  else VALGRIND_DO_LEAK_CHECK;
  printf("%.3f %.3f\n", cpu_time() - cpu, now() - wall);
  fflush(stdout);
}

int main(int count, char **values) {
  if (count != 4) fail("usage: leaks lists|chain|lost NODE_BYTES MIB");
  size_t size = (size_t)atol(values[2]);
  build(values[1], size, (atol(values[3]) << 20) / (long)size);
  printf("ready %d\n", getpid());
  fflush(stdout);
  for (int byte; (byte = getchar()) != EOF;)
    if (byte == '\n') search();
}
