// Random operations from several threads against a shadow model: every block's place, alignment, usable size and contents.
//   operations [--fork] [--scarce] [--operations N] [--threads N] SEED…
// --fork: while they run, the process forks again and again; each child checks its copy of all blocks and goes on for a while.
// --scarce: allocations are expected to fail (run it under a limit); a failure must be NULL and ENOMEM.
// Says which seed failed.
// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { slots_per_thread = 4000, exchange_slots = 512, thread_limit = 16 };

struct block {
  unsigned char *start;
  size_t size;      // requested
  size_t usable;    // what malloc_usable_size said
  uint64_t pattern; // seed of its contents
};

struct worker {
  uint64_t random;
  size_t live;
  unsigned long failures;
  struct block blocks[slots_per_thread];
};

static struct worker workers[thread_limit + 1]; // the last one may be the forking thread
// Blocks on their way from one thread to another. A slot is locked by its own flag.
static struct { atomic_flag busy; struct block block; } exchange[exchange_slots];
static int threads = 8, storm, scarce;
static long operations = 1000000;
static uint64_t seed;
static size_t live_limit = 24 << 20; // for each thread
static unsigned long all_failures;
static char stacks[thread_limit + 1][256 << 10] __attribute__((aligned(4096))); // so that threads start where memory is scarce
static atomic_int finished;

__attribute__((format(printf, 1, 2), noreturn)) static void failed(const char *format, ...) {
  dprintf(2, "seed %lu, process %d: ", (unsigned long)seed, getpid());
  va_list arguments;
  va_start(arguments, format);
  vdprintf(2, format, arguments);
  va_end(arguments);
  dprintf(2, "\n");
  _exit(1);
}

static uint64_t next(uint64_t *state) { // splitmix64
  uint64_t z = *state += 0x9e3779b97f4a7c15;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
  z = (z ^ z >> 27) * 0x94d049bb133111eb;
  return z ^ z >> 31;
}

// MARK: Places: no two blocks may overlap

// A hash table of the 4 KiB pages on which blocks begin or end, with a bit for each 16 bytes. Two blocks that overlap either
// share the unit of an end, which this finds, or overwrite each other's contents, which the patterns find.
enum { place_count = 1 << 20, lock_count = 1024 };
static struct { uint64_t page; uint64_t units[4]; } *places;
static pthread_mutex_t place_locks[lock_count];

static void mark(uintptr_t address, int taken, const struct block *b) {
  uint64_t page = address >> 12, unit = address >> 4 & 255;
  size_t group = page * 0x9e3779b97f4a7c15 >> 54; // of the place_count / lock_count places of one lock
  size_t in_group = place_count / lock_count;
  pthread_mutex_lock(&place_locks[group]);
  size_t free_place = SIZE_MAX, i = 0;
  for (; i < in_group; i++) {
    size_t place = group * in_group + i;
    if (places[place].page == page) break;
    if (free_place == SIZE_MAX && !(places[place].units[0] | places[place].units[1] | places[place].units[2] | places[place].units[3]))
      free_place = place;
  }
  size_t place = i < in_group ? group * in_group + i : free_place;
  if (place == SIZE_MAX) failed("the test's own table is full");
  places[place].page = page;
  uint64_t bit = (uint64_t)1 << unit % 64, *word = &places[place].units[unit / 64];
  if (taken && *word & bit) failed("block %p of %zu bytes overlaps another", (void *)b->start, b->size);
  if (!taken && !(*word & bit)) failed("block %p of %zu bytes was not known", (void *)b->start, b->size);
  *word ^= bit;
  pthread_mutex_unlock(&place_locks[group]);
}

static void mark_block(const struct block *b, int taken) {
  uintptr_t first = (uintptr_t)b->start, last = first + (b->size ? b->size - 1 : 0);
  mark(first, taken, b);
  if (last >> 4 != first >> 4) mark(last, taken, b);
}

// MARK: Contents

static uint64_t word_at(const struct block *b, size_t i) { return (b->pattern + i) * 0x9e3779b97f4a7c15; }

static void fill(const struct block *b, size_t from) {
  for (size_t i = from / 8; i < b->size / 8; i++) {
    uint64_t word = word_at(b, i);
    memcpy(b->start + i * 8, &word, 8);
  }
  for (size_t i = b->size & ~(size_t)7; i < b->size; i++) b->start[i] = b->pattern + i;
}

static void verify(const struct block *b, size_t size, const char *when) {
  for (size_t i = 0; i < size / 8; i++) {
    uint64_t word;
    memcpy(&word, b->start + i * 8, 8);
    if (word != word_at(b, i)) failed("block %p of %zu bytes, at byte %zu %s: %lx", (void *)b->start, b->size, i * 8, when, word);
  }
  // The last bytes have their pattern only if they are the block's last.
  if (size == b->size)
    for (size_t i = size & ~(size_t)7; i < size; i++)
      if (b->start[i] != (unsigned char)(b->pattern + i)) failed("block %p of %zu bytes, at byte %zu %s", (void *)b->start, b->size, i, when);
}

// MARK: Operations

// Heavy-tailed: mostly up to 256 bytes, sometimes some KiB, seldom up to 8 MiB.
static size_t random_size(uint64_t *state) {
  uint64_t r = next(state), kind = r % 1000;
  r >>= 10;
  if (kind < 600) return r % 257;
  if (kind < 850) return r % 2049;
  if (kind < 960) return r % 32769;
  if (kind < 995) return r % 262145;
  return r % (8 << 20);
}

static int failed_properly(struct worker *w, void *p, size_t size) {
  if (p) return 0;
  if (!scarce) failed("no memory for %zu bytes", size);
  if (errno != ENOMEM) failed("errno is %d after an allocation of %zu bytes failed", errno, size);
  w->failures++;
  return 1;
}

static void check_new(struct block *b, size_t alignment) {
  if ((uintptr_t)b->start % alignment) failed("block %p of %zu bytes is not aligned to %zu", (void *)b->start, b->size, alignment);
  b->usable = malloc_usable_size(b->start);
  if (b->usable < b->size) failed("block %p of %zu bytes has only %zu usable", (void *)b->start, b->size, b->usable);
}

static void allocate(struct worker *w, struct block *b) {
  size_t size = random_size(&w->random), alignment = 16;
  uint64_t how = next(&w->random) % 20;
  void *p = 0;
  errno = 0;
  if (how == 0) {
    alignment = (size_t)16 << next(&w->random) % 13;
    p = memalign(alignment, size);
  } else if (how == 1) {
    alignment = (size_t)8 << next(&w->random) % 10;
    errno = posix_memalign(&p, alignment, size);
    if (alignment < 16) alignment = 16;
  } else if (how < 6) {
    p = calloc(1, size);
    if (p)
      for (size_t i = 0; i < size; i++)
        if (((unsigned char *)p)[i]) failed("calloc of %zu bytes at %p is not zero at byte %zu", size, p, i);
  } else {
    p = malloc(size);
  }
  if (failed_properly(w, p, size)) return;
  *b = (struct block){p, size, 0, next(&w->random)};
  check_new(b, alignment);
  mark_block(b, 1);
  fill(b, 0);
  w->live += size;
}

static void release(struct worker *w, struct block *b) {
  verify(b, b->size, "at free");
  mark_block(b, 0);
  w->live -= b->size;
  errno = 4711;
  free(b->start);
  if (errno != 4711) failed("free set errno to %d", errno);
  b->start = 0;
}

static void resize(struct worker *w, struct block *b) {
  size_t size = 1 + random_size(&w->random);
  struct block old = *b;
  verify(&old, old.size, "before realloc");
  mark_block(&old, 0);
  errno = 0;
  unsigned char *p = realloc(old.start, size);
  if (failed_properly(w, p, size)) {
    mark_block(&old, 1);
    verify(&old, old.size, "after a realloc that failed");
    return;
  }
  *b = (struct block){p, size, 0, old.pattern};
  check_new(b, 16);
  mark_block(b, 1);
  verify(b, old.size < size ? old.size & ~(size_t)7 : size & ~(size_t)7, "after realloc");
  fill(b, 0);
  w->live += size - old.size;
}

static void hand_over(struct worker *w, struct block *b) {
  size_t i = next(&w->random) % exchange_slots;
  if (atomic_flag_test_and_set_explicit(&exchange[i].busy, memory_order_acquire)) return;
  struct block other = exchange[i].block;
  exchange[i].block = *b;
  w->live += (other.start ? other.size : 0) - (b->start ? b->size : 0);
  *b = other;
  atomic_flag_clear_explicit(&exchange[i].busy, memory_order_release);
}

static void operate(struct worker *w, long count) {
  while (count-- > 0) {
    struct block *b = &w->blocks[next(&w->random) % slots_per_thread];
    uint64_t what = next(&w->random) % 10;
    if (what == 0) hand_over(w, b);
    else if (!b->start) {
      if (w->live < live_limit) allocate(w, b);
    } else if (what <= 2 && w->live < live_limit) resize(w, b);
    else release(w, b);
  }
}

static void *work(void *worker) {
  operate(worker, operations / threads);
  finished++;
  return 0;
}

// A child has only the forking thread, and a copy of all the others' blocks. Those that another thread was working on at that
// moment can't be judged, so the forking thread looks only at its own and at the exchange's.
static void child(struct worker *w) {
  for (int i = 0; i < slots_per_thread; i++)
    if (w->blocks[i].start) verify(&w->blocks[i], w->blocks[i].size, "in a child");
  for (int i = 0; i < lock_count; i++) pthread_mutex_init(&place_locks[i], 0);
  memset(places, 0, place_count * sizeof *places);
  for (int i = 0; i < slots_per_thread; i++)
    if (w->blocks[i].start) mark_block(&w->blocks[i], 1);
  for (int i = 0; i < exchange_slots; i++) {
    // Another thread may have been in the middle of this one: leave it locked, then nobody here touches it.
    if (atomic_flag_test_and_set(&exchange[i].busy)) continue;
    if (exchange[i].block.start) {
      verify(&exchange[i].block, exchange[i].block.size, "of the exchange, in a child");
      mark_block(&exchange[i].block, 1);
    }
    atomic_flag_clear(&exchange[i].busy);
  }
  operate(w, 3000);
  exit(0);
}

static void *fork_repeatedly(void *worker) {
  struct worker *w = worker;
  operate(w, 2000);
  while (finished < threads) {
    pid_t pid = fork();
    if (pid == 0) child(w);
    int status;
    if (pid < 0 || waitpid(pid, &status, 0) != pid) {
      if (scarce && pid < 0 && errno == ENOMEM) continue;
      failed("fork: %s", strerror(errno));
    }
    if (status) failed("a child ended with status 0x%x", status);
    operate(w, 2000);
  }
  return 0;
}

static void run(uint64_t s) {
  seed = s;
  finished = 0;
  pthread_t ids[thread_limit + 1];
  int count = threads + storm;
  for (int i = 0; i < count; i++) {
    workers[i].random = seed * 1000 + i;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstack(&attributes, stacks[i], sizeof stacks[i]);
    if (pthread_create(&ids[i], &attributes, i < threads ? work : fork_repeatedly, &workers[i])) failed("no thread");
  }
  for (int i = 0; i < count; i++) pthread_join(ids[i], 0);
  // All that is left is freed by this thread, to which none of it belongs.
  for (int i = 0; i < count; i++) {
    for (int j = 0; j < slots_per_thread; j++)
      if (workers[i].blocks[j].start) release(&workers[i], &workers[i].blocks[j]);
    all_failures += workers[i].failures;
    memset(&workers[i], 0, sizeof workers[i]);
  }
  for (int i = 0; i < exchange_slots; i++)
    if (exchange[i].block.start) {
      workers[0].live += exchange[i].block.size;
      release(&workers[0], &exchange[i].block);
    }
}

int main(int argc, char **argv) {
  // The model's own memory is static or mapped by calloc at the start, before any limit is met.
  places = calloc(place_count, sizeof *places);
  for (int i = 0; i < lock_count; i++) pthread_mutex_init(&place_locks[i], 0);
  int i = 1;
  for (; i < argc && argv[i][0] == '-'; i++) {
    if (!strcmp(argv[i], "--fork")) storm = 1;
    else if (!strcmp(argv[i], "--scarce")) scarce = 1;
    else if (!strcmp(argv[i], "--operations") && i + 1 < argc) operations = atol(argv[++i]);
    else if (!strcmp(argv[i], "--threads") && i + 1 < argc) threads = atoi(argv[++i]);
    else return 64;
  }
  if (!places || threads < 1 || threads > thread_limit || i == argc) return 64;
  for (; i < argc; i++) run(strtoull(argv[i], 0, 10));
  if (scarce && !all_failures) failed("no allocation failed: the limit was never met");
  return 0;
}
