// Double and invalid frees. Each case prints the address that it is about to misuse; it must not come back from that.
// SPDX-License-Identifier: Apache-2.0
#include "cases.h"
#include <malloc.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/mman.h>

// Calls through these are beyond the compiler's warnings, which know what is wrong with every case.
static void *(*volatile take)(size_t) = malloc;
static void *(*volatile resize)(void *, size_t) = realloc;
static void (*volatile give_back)(void *) = free;

static void *taken(size_t size) {
  void *p = take(size);
  EXPECT(p);
  memset(p, 0x11, size);
  return p;
}

// The offence that a case leads up to.
static void free_wrongly(void *p) {
  dprintf(1, "%p\n", p);
  give_back(p);
}

static void in_thread(void *(*body)(void *), void *argument) {
  pthread_t thread;
  EXPECT(!pthread_create(&thread, 0, body, argument));
  EXPECT(!pthread_join(thread, 0));
}

static void *free_here(void *p) {
  give_back(p);
  return 0;
}

static void *free_wrongly_here(void *p) {
  free_wrongly(p);
  return 0;
}

static void *take_here(void *result) {
  *(void **)result = taken(48);
  return 0;
}

// MARK: Double frees

static void free_twice(size_t size) {
  void *p = taken(size);
  give_back(p);
  free_wrongly(p);
}

CASE(twice_16, "double free, 16 bytes") { free_twice(16); }
CASE(twice_zero, "double free, 0 bytes") { free_twice(0); }
CASE(twice_100, "double free, 100 bytes") { free_twice(100); }
CASE(twice_1000, "double free, 1,000 bytes") { free_twice(1000); }
CASE(twice_10k, "double free, 10 KiB") { free_twice(10 << 10); }
CASE(twice_100k, "double free, 100 KiB") { free_twice(100 << 10); }
CASE(twice_1m, "double free, 1 MiB") { free_twice(1 << 20); }
CASE(twice_20m, "double free, 20 MiB") { free_twice(20 << 20); }
CASE(twice_200m, "double free, 200 MiB") {
  void *p = take(200 << 20);
  give_back(p);
  free_wrongly(p);
}

CASE(after_others, "double free after a block of another size was freed") {
  void *p = taken(64), *other = taken(256);
  give_back(p);
  give_back(other);
  free_wrongly(p);
}

CASE(in_between, "double free of the middle one of three freed blocks") {
  void *a = taken(64), *b = taken(64), *c = taken(64);
  give_back(a);
  give_back(b);
  give_back(c);
  free_wrongly(b);
}

CASE(first_of_many, "double free of the first of 10,000 freed blocks") {
  enum { count = 10000 };
  static void *blocks[count];
  for (int i = 0; i < count; i++) blocks[i] = taken(64);
  for (int i = 0; i < count; i++) give_back(blocks[i]);
  free_wrongly(blocks[0]);
}

CASE(after_allocation, "double free after an allocation that took another block") {
  void *a = taken(64), *b = taken(64);
  give_back(a);
  give_back(b);
  void *c = taken(64);
  free_wrongly(c == a ? b : a);
}

CASE(of_calloc, "double free of a calloc'ed block") {
  void *p = calloc(10, 10);
  give_back(p);
  free_wrongly(p);
}

CASE(of_aligned, "double free of an aligned block") {
  void *p = memalign(4096, 100);
  give_back(p);
  free_wrongly(p);
}

CASE(other_thread, "double free, the second one by another thread") {
  void *p = taken(48);
  give_back(p);
  in_thread(free_wrongly_here, p);
}

CASE(after_remote_free, "double free, the first one by another thread") {
  void *p = taken(48);
  in_thread(free_here, p);
  free_wrongly(p);
}

CASE(two_threads, "double free by two other threads") {
  void *p = taken(48);
  in_thread(free_here, p);
  in_thread(free_wrongly_here, p);
}

CASE(large_other_thread, "double free of 1 MiB, the first one by another thread") {
  void *p = taken(1 << 20);
  in_thread(free_here, p);
  free_wrongly(p);
}

CASE(of_dead_thread, "double free of a block whose thread has ended") {
  void *p;
  in_thread(take_here, &p);
  give_back(p);
  free_wrongly(p);
}

CASE(after_realloc, "free of a block that realloc has moved") {
  void *p = taken(64), *moved = resize(p, 100000);
  EXPECT(moved != p);
  free_wrongly(p);
}

CASE(realloc_freed, "realloc of a freed block") {
  void *p = taken(64);
  give_back(p);
  dprintf(1, "%p\n", p);
  resize(p, 1000);
}

CASE(realloc_freed_same_size, "realloc of a freed block to its own size") {
  void *p = taken(64);
  give_back(p);
  dprintf(1, "%p\n", p);
  resize(p, 64);
}

CASE(after_realloc_to_zero, "free after realloc(p, 0)") {
  void *p = taken(64);
  resize(p, 0);
  free_wrongly(p);
}

// MARK: Frees of what never was a block

CASE(of_stack, "free of a local variable") {
  char local[64] __attribute__((aligned(16)));
  free_wrongly(local);
}

static char variable[64] __attribute__((aligned(16)));
CASE(of_global, "free of a global variable") { free_wrongly(variable); }

CASE(of_literal, "free of a string literal") { free_wrongly("a literal of some length, aligned or not"); }

CASE(of_code, "free of a function") { free_wrongly((void *)&free_twice); }

CASE(interior_16, "free of an interior pointer, aligned to 16") { free_wrongly((char *)taken(64) + 16); }
CASE(interior_8, "free of an interior pointer, aligned to 8") { free_wrongly((char *)taken(64) + 8); }
CASE(interior_odd, "free of an odd interior pointer") { free_wrongly((char *)taken(64) + 3); }
CASE(interior_large, "free of a pointer into 1 MiB") { free_wrongly((char *)taken(1 << 20) + 65536); }
CASE(interior_large_16, "free of a pointer just behind the start of 1 MiB") { free_wrongly((char *)taken(1 << 20) + 16); }
CASE(interior_huge, "free of a pointer into 200 MiB") { free_wrongly((char *)take(200 << 20) + (100 << 20)); }
CASE(before_large, "free of a pointer just before 1 MiB") { free_wrongly((char *)taken(1 << 20) - 16); }

CASE(past_end, "free of one past the end of the only block") {
  char *p = taken(7000);
  free_wrongly(p + malloc_usable_size(p));
}

CASE(of_mapping, "free of a mapping") {
  void *p = mmap(0, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  EXPECT(p != MAP_FAILED);
  free_wrongly(p);
}

CASE(of_small_integer, "free of a small integer") { free_wrongly((void *)16); }
CASE(of_minus_one, "free of -1") { free_wrongly((void *)-1); }
CASE(non_canonical, "free of a non-canonical address") { free_wrongly((void *)0x1234560000000000); }
CASE(kernel_address, "free of a kernel address") { free_wrongly((void *)0xffff888000000000); }
CASE(of_nowhere, "free of an unmapped address") { free_wrongly((void *)0x100000000000); }

CASE(in_free_large, "free of a pointer into freed memory of 1 MiB") {
  char *p = taken(1 << 20);
  give_back(p);
  free_wrongly(p + 65536);
}

CASE(never_allocated, "free of a block beside the first one, never allocated") {
  char *p = taken(64);
  free_wrongly(p + 64 * 40);
}

CASE(realloc_interior, "realloc of an interior pointer") {
  char *p = (char *)taken(64) + 16;
  dprintf(1, "%p\n", p);
  resize(p, 1000);
}

CASE(realloc_stack, "realloc of a local variable") {
  char local[64] __attribute__((aligned(16)));
  dprintf(1, "%p\n", local);
  resize(local, 1000);
}
