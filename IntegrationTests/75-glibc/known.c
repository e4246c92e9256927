/* Allocates and frees on glibc's malloc in a way of its own for each case, loses all that is left, and says what that is:
   a line for each block with its address and usable size, then `ready`. Then it waits.
   SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include <malloc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Addresses are kept disguised, so that nothing but this program knows of the blocks. */
#define DISGUISE 0xa5a5a5a5a5a5a5a5
enum { CAPACITY = 1 << 17 };
static uintptr_t (*known)[CAPACITY];
static _Atomic int count;

static uint64_t random_state = 88172645463325252;
static _Thread_local uint64_t *state = &random_state;

static size_t random_below(size_t limit) {
  *state ^= *state << 13;
  *state ^= *state >> 7;
  *state ^= *state << 17;
  return *state % limit;
}

__attribute__((noinline)) static int keep(void *block) {
  if (!block) abort();
  int index = count++;
  (*known)[index] = (uintptr_t)block ^ DISGUISE;
  return index;
}

static int allocate(size_t size) { return keep(malloc(size)); }
static void *block(int index) { return (void *)((*known)[index] ^ DISGUISE); }

static void release(int index) {
  if (!(*known)[index]) return;
  free(block(index));
  (*known)[index] = 0;
}

static void reallocate(int index, size_t size) {
  void *moved = realloc(block(index), size);
  if (!moved) abort();
  (*known)[index] = (uintptr_t)moved ^ DISGUISE;
}

/* Blocks up to `largest` bytes; half of them are freed in random order. */
static void mixed(int blocks, size_t largest) {
  int first = count;
  for (int i = 0; i < blocks; i++) allocate(1 + random_below(largest));
  for (int i = 0; i < blocks / 2; i++) release(first + random_below(blocks));
}

static void thread_caches(void) {
  int first = count;
  for (size_t size = 24; size <= 1032; size += 16)
    for (int i = 0; i < 8; i++) allocate(size);
  for (int i = first; i < count; i++)
    if ((i - first) % 8) release(i);
}

static void fastbins(void) {
  int first = count;
  for (int i = 0; i < 4000; i++) allocate(1 + random_below(120));
  for (int i = first; i < count; i += 2) release(i);
}

static void mapped(void) {
  int first = count;
  for (int i = 0; i < 60; i++) allocate((128 << 10) + random_below(3 << 20));
  for (int i = first; i < first + 60; i += 4) release(i);
  for (int i = first + 1; i < first + 60; i += 4) reallocate(i, (256 << 10) + random_below(8 << 20));
  for (int i = first + 2; i < first + 60; i += 8) reallocate(i, 1000);
}

static void threshold(void) {
  mallopt(M_MMAP_THRESHOLD, 4096);
  mixed(2000, 40000);
  for (size_t alignment = 32; alignment <= 4 << 20; alignment *= 2) {
    keep(memalign(alignment, 20000));
    keep(memalign(alignment, 100));
  }
}

static void unmapped(void) {
  mallopt(M_MMAP_MAX, 0);
  mixed(200, 3 << 20);
}

static void foreign_break(void) {
  for (int i = 0; i < 20; i++) {
    mixed(1000, 1000);
    char *own = sbrk(1000 + random_below(40000) / 8 * 8);
    memset(own, i, 1000);
  }
}

/* Memory right above the program break: it can't be moved any more. */
static void blocked_break(void) {
  mixed(1000, 1000);
  char *end = (char *)(((uintptr_t)sbrk(0) + 4095) & -4096);
  if (mmap(end, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) != end) abort();
  mixed(20000, 1000);
}

/* Overwrites what calls have left on the stack and in vector registers. */
__attribute__((noinline)) static void scrub(void) {
  volatile char room[64 << 10];
  for (size_t i = 0; i < sizeof room; i++) room[i] = 0;
  __asm__ volatile("pxor %%xmm0,%%xmm0; pxor %%xmm1,%%xmm1; pxor %%xmm2,%%xmm2; pxor %%xmm3,%%xmm3;"
                   "pxor %%xmm4,%%xmm4; pxor %%xmm5,%%xmm5; pxor %%xmm6,%%xmm6; pxor %%xmm7,%%xmm7" ::: "xmm0", "xmm1",
                   "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7");
}

static pthread_barrier_t barrier;
static size_t thread_largest = 2000;
static int thread_blocks = 3000;

static void *thread(void *argument) {
  uint64_t own = 88172645463325252 * ((uintptr_t)argument * 2 + 3);
  state = &own;
  /* Blocks are numbered by all threads together, so each one frees what it finds in its own order. */
  int *mine = mmap(NULL, sizeof(int) * thread_blocks, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  for (int i = 0; i < thread_blocks; i++) mine[i] = allocate(1 + random_below(thread_largest));
  for (int i = 0; i < thread_blocks; i += 2) release(mine[i]);
  pthread_barrier_wait(&barrier);
  scrub();
  /* Every other thread ends. */
  if ((uintptr_t)argument % 2)
    for (;;) pause();
  return NULL;
}

static void threads(void) {
  enum { THREADS = 8 };
  pthread_t ids[THREADS];
  pthread_barrier_init(&barrier, NULL, THREADS + 1);
  for (uintptr_t i = 0; i < THREADS; i++) pthread_create(&ids[i], NULL, thread, (void *)i);
  pthread_barrier_wait(&barrier);
  for (int i = 0; i < THREADS; i += 2) pthread_join(ids[i], NULL);
}

/* An arena of a thread grows over several heaps. */
static void heaps(void) {
  mallopt(M_MMAP_MAX, 0);
  thread_largest = 1 << 20;
  thread_blocks = 300;
  threads();
}

static void nothing(void) {}

static const struct {
  const char *name;
  void (*run)(void);
} cases[] = {
    {"nothing", nothing}, {"thread-caches", thread_caches}, {"fastbins", fastbins},           {"mapped", mapped},
    {"threshold", threshold}, {"unmapped", unmapped},       {"foreign-break", foreign_break}, {"blocked-break", blocked_break},
    {"threads", threads}, {"heaps", heaps},
};

static void mixed_case(void) { mixed(20000, 5000); }

int main(int argc, char **argv) {
  if (argc < 2) {
    puts("mixed");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) puts(cases[i].name);
    return 0;
  }
  static char buffer[1 << 16];
  setvbuf(stdout, buffer, _IOFBF, sizeof buffer);
  known = mmap(NULL, sizeof *known, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (!strcmp(argv[1], "mixed")) mixed_case();
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    if (!strcmp(argv[1], cases[i].name)) cases[i].run();
  for (int i = 0; i < count; i++)
    if ((*known)[i]) printf("%#lx %zu\n", (*known)[i] ^ DISGUISE, malloc_usable_size(block(i)));
  puts("ready");
  fflush(stdout);
  memset(buffer, 0, sizeof buffer);
  scrub();
  for (;;) pause();
}
