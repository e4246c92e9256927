// A program with many mappings, or much resident memory, that waits to be looked at:
//   maps count N   N mappings with alternating permissions
//   maps gaps N    N mappings with a gap behind each
//   maps resident MIB
//   maps threads N    N sleeping threads with names, and one that runs
//   maps odd       memory of every kind: zero page, shared, guard pages, huge, a file that is written to, swapped where possible
// It writes a line when it is ready.
// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

static const size_t page = 4096;

static char *map(size_t size, int protection, int flags, int file) {
  char *start = mmap(NULL, size, protection, flags | (file < 0 ? MAP_ANONYMOUS : 0), file, 0);
  if (start == MAP_FAILED) {
    perror("mmap");
    exit(1);
  }
  return start;
}

static void many(size_t count, int gaps) {
  char *start = map(count * 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, -1);
  for (size_t i = 0; i < count; i++) {
    start[i * 2 * page] = 1;
    if (gaps)
      munmap(start + i * 2 * page + page, page);
    else if (i % 2)
      mprotect(start + i * 2 * page, 2 * page, PROT_READ);
  }
}

static void *sleeper(void *name) {
  prctl(PR_SET_NAME, name);
  volatile char frames[20000];
  for (size_t i = 0; i < sizeof frames; i += 1000) frames[i] = 1;
  pause();
  return frames[0] ? NULL : name;
}

static void *runner(void *name) {
  prctl(PR_SET_NAME, name);
  for (volatile unsigned long turns = 0;; turns++) {
  }
  return NULL;
}

static void threads(int count) {
  static char names[1000][16];
  pthread_t thread;
  for (int i = 0; i < count; i++) {
    snprintf(names[i], sizeof names[i], "sleeper %d", i);
    pthread_create(&thread, NULL, sleeper, names[i]);
  }
  pthread_create(&thread, NULL, runner, "runner");
  usleep(100000);
}

static void odd(void) {
  char *zeros = map(64 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE, -1);
  volatile char sum = 0;
  for (int i = 0; i < 32; i++) sum += zeros[i * page];
  for (int i = 40; i < 50; i++) zeros[i * page] = 1;
  char *shared = map(64 * page, PROT_READ | PROT_WRITE, MAP_SHARED, -1);
  for (int i = 0; i < 20; i++) shared[i * page] = 1;
  char *huge = map(8 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE, -1);
  madvise(huge, 8 << 20, MADV_HUGEPAGE);
  memset(huge, 1, 8 << 20);
  char *guarded = map(64 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE, -1);
  memset(guarded, 1, 64 * page);
  madvise(guarded + 8 * page, 4 * page, 102);  // MADV_GUARD_INSTALL, Linux 6.13
  char *reserved = map(1UL << 40, PROT_NONE, MAP_PRIVATE | MAP_NORESERVE, -1);
  mprotect(reserved + (1UL << 39), page, PROT_READ | PROT_WRITE);
  reserved[1UL << 39] = 1;
  int memory = memfd_create("a memory file", 0);
  if (ftruncate(memory, 16 * page) == 0) memset(map(16 * page, PROT_READ | PROT_WRITE, MAP_SHARED, memory), 1, 4 * page);
  int file = open("/proc/self/exe", O_RDONLY);
  char *private = map(page, PROT_READ | PROT_WRITE, MAP_PRIVATE, file);
  private[0] = 1;
  sum += *map(page, PROT_READ, MAP_SHARED, file);
  char *swapped = map(64 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE, -1);
  memset(swapped, 1, 64 * page);
  madvise(swapped, 64 * page, MADV_PAGEOUT);
}

int main(int count, char **arguments) {
  const char *kind = count > 1 ? arguments[1] : "";
  unsigned long number = count > 2 ? strtoul(arguments[2], NULL, 10) : 0;
  if (!strcmp(kind, "count")) many(number, 0);
  if (!strcmp(kind, "gaps")) many(number, 1);
  if (!strcmp(kind, "resident")) map(number << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_POPULATE, -1);
  if (!strcmp(kind, "threads")) threads((int)number);
  if (!strcmp(kind, "odd")) odd();
  puts("ready");
  fflush(stdout);
  pause();
}
