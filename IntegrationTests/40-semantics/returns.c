// Memory goes back to the system: at once on malloc_trim(0), and within a second of an idle process's next few calls.
// SPDX-License-Identifier: Apache-2.0
#include "cases.h"
#include "resident.h"
#include <malloc.h>
#include <pthread.h>
#include <time.h>

enum { total = 400 << 20, slots = 3 << 20 };
static char *blocks[slots];
static size_t used;
static long before;

static void take(size_t size) {
  EXPECT(used < slots && (blocks[used] = malloc(size)));
  memset(blocks[used++], 1, size);
}

// 400 MiB in blocks of 16 to 1,000 bytes, most of them small.
static void fill_small(void) {
  before = resident_kib();
  unsigned seed = 1;
  for (size_t bytes = 0; bytes < total;) {
    size_t size = rand_r(&seed) % 3 ? 16 + rand_r(&seed) % 200 : 16 + rand_r(&seed) % 985;
    take(size);
    bytes += size;
  }
  EXPECT(resident_kib() > before + (total >> 10));
}

static void fill(size_t size) {
  before = resident_kib();
  while (used < total / size) take(size);
}

static void free_from(size_t first) {
  for (size_t i = first; i < used; i++) free(blocks[i]);
}

// What may stay: the live blocks and 20 MiB.
static long allowed(size_t live) { return before + (long)(live >> 10) + (20 << 10); }

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}

static void expect_returned_when_idle(size_t live) {
  sleep(1);
  double start = now();
  while (resident_kib() > allowed(live)) {
    // A second, and another one because the machine may be busy.
    EXPECT(now() < start + 2, "%ld MiB are still resident two seconds later, %ld MiB at the start", resident_kib() >> 10, before >> 10);
    for (int i = 0; i < 10; i++) free(malloc(100 * i + 1));
    usleep(20000);
  }
}

static void expect_returned_on_trim(size_t live) {
  malloc_trim(0);
  EXPECT(resident_kib() <= allowed(live), "%ld MiB are still resident, %ld MiB at the start", resident_kib() >> 10, before >> 10);
}

CASE(small_idle, "400 MiB of small blocks, when idle") {
  fill_small();
  free_from(0);
  expect_returned_when_idle(0);
}

CASE(small_trim, "400 MiB of small blocks, on malloc_trim") {
  fill_small();
  free_from(0);
  expect_returned_on_trim(0);
}

CASE(part_idle, "fifteen sixteenths of 400 MiB of small blocks, when idle") {
  fill_small();
  free_from(used / 16);
  expect_returned_when_idle(total / 16);
}

CASE(part_trim, "fifteen sixteenths of 400 MiB of small blocks, on malloc_trim") {
  fill_small();
  free_from(used / 16);
  expect_returned_on_trim(total / 16);
}

CASE(large_idle, "400 blocks of 1 MiB, when idle") {
  fill(1 << 20);
  free_from(0);
  expect_returned_when_idle(0);
}

CASE(large_trim, "400 blocks of 1 MiB, on malloc_trim") {
  fill(1 << 20);
  free_from(0);
  expect_returned_on_trim(0);
}

CASE(huge_idle, "5 blocks of 80 MiB, when idle") {
  fill(80 << 20);
  free_from(0);
  expect_returned_when_idle(0);
}

CASE(huge_trim, "5 blocks of 80 MiB, on malloc_trim") {
  fill(80 << 20);
  free_from(0);
  expect_returned_on_trim(0);
}

enum { thread_count = 64, per_thread = total / thread_count / 256 };

static void *fill_and_free(void *unused) {
  char **mine = malloc(per_thread * sizeof *mine);
  for (int i = 0; i < per_thread; i++) mine[i] = memset(malloc(256), 1, 256);
  for (int i = 0; i < per_thread; i++) free(mine[i]);
  free(mine);
  return unused;
}

static void *fill_only(void *first) {
  for (int i = 0; i < per_thread; i++) ((char **)first)[i] = memset(malloc(256), 1, 256);
  return 0;
}

// All threads live at the same time; they end before this returns.
static void with_threads(void *(*body)(void *)) {
  before = resident_kib();
  pthread_t threads[thread_count];
  for (int i = 0; i < thread_count; i++) EXPECT(!pthread_create(&threads[i], 0, body, blocks + i * per_thread));
  for (int i = 0; i < thread_count; i++) EXPECT(!pthread_join(threads[i], 0));
  used = thread_count * per_thread;
}

CASE(threads_idle, "64 threads that came, used 400 MiB and went, when idle") {
  with_threads(fill_and_free);
  expect_returned_when_idle(0);
}

CASE(threads_trim, "64 threads that came, used 400 MiB and went, on malloc_trim") {
  with_threads(fill_and_free);
  expect_returned_on_trim(0);
}

CASE(left_blocks_idle, "400 MiB that 64 ended threads left behind, freed by another, when idle") {
  with_threads(fill_only);
  free_from(0);
  expect_returned_when_idle(0);
}

CASE(left_blocks_trim, "400 MiB that 64 ended threads left behind, freed by another, on malloc_trim") {
  with_threads(fill_only);
  free_from(0);
  expect_returned_on_trim(0);
}

static void *free_all(void *unused) {
  free_from(0);
  return unused;
}

CASE(remote_idle, "400 MiB of small blocks freed by another thread, when idle") {
  fill_small();
  pthread_t thread;
  EXPECT(!pthread_create(&thread, 0, free_all, 0) && !pthread_join(thread, 0));
  expect_returned_when_idle(0);
}

CASE(remote_trim, "400 MiB of small blocks freed by another thread, on malloc_trim") {
  fill_small();
  pthread_t thread;
  EXPECT(!pthread_create(&thread, 0, free_all, 0) && !pthread_join(thread, 0));
  expect_returned_on_trim(0);
}
