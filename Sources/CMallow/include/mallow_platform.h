// What the allocator needs of C: thread-local variables, atomic operations, and functions that Swift can't call by itself.
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "mallow_layout.h"

#pragma clang assume_nonnull begin

#define MALLOW_HIDDEN __attribute__((visibility("hidden")))
#define MALLOW_THREAD __attribute__((visibility("hidden"), tls_model("initial-exec")))

// The running thread's heap, or the empty heap, from which nothing can be allocated, where it has none yet.
extern __thread struct mallow_heap *mallow_thread_heap MALLOW_THREAD;
// By (size + 15) / 16: the descriptor of the page that malloc takes from, in the running thread's heap.
extern __thread uint64_t mallow_thread_direct[MALLOW_DIRECT_COUNT] MALLOW_THREAD;
// The kernel's id of the running thread, 0 while unknown.
extern __thread uint32_t mallow_thread_id MALLOW_THREAD;

extern struct mallow_heap mallow_empty_heap MALLOW_HIDDEN;
extern struct mallow_page mallow_empty_page MALLOW_HIDDEN;
extern const uint32_t mallow_block_sizes[MALLOW_CLASS_COUNT] MALLOW_HIDDEN;  // bytes of a block, by size class
extern uint64_t mallow_region_records[MALLOW_REGION_RECORDS] MALLOW_HIDDEN;  // mallow_region by address >> 26, modulo the window
extern uint8_t mallow_region_map[MALLOW_REGION_MAP_BYTES] MALLOW_HIDDEN;
extern struct mallow_introspection mallow_introspection __attribute__((visibility("default")));

// A lock: 0 free, else the holder's thread id, with the top bit where others wait.
struct mallow_lock { uint32_t word; };

#define MALLOW_RECENT_LENGTHS 65  // runs of up to 64 slices
#define MALLOW_RECENT_RUNS 8      // the last ones of each length

// What the allocator keeps of itself, beside what readers are told.
struct mallow_state {
  // What every free reads, and what is set once, is on a cache line of its own: not with the lock.
  uint64_t page_table;            // see mallow_introspection; at first a single descriptor of nothing
  uint64_t page_mask;
  uint64_t kernel_page;           // bytes of the kernel's page
  uint64_t purge_delay;           // milliseconds that free slices stay resident
  uint64_t rule_cache;            // address of the unwinder's cache, 0 for none
  uint32_t initialized;           // 1 while it is being done, 2 when done
  uint32_t key_ready;
  pthread_key_t key;              // its destructor gives a thread's heap up
  uint32_t print_statistics;      // MALLOW_STATS
  uint64_t apart;

  struct mallow_lock lock;        // regions, metadata, the list of heaps
  struct mallow_lock stack_lock;  // the stack table
  uint64_t last_purge;            // milliseconds
  uint64_t region_bytes;          // bytes to map for the next region
  uint64_t window;                // first address of the window, 0 until there is one
  uint64_t window_limit;          // bytes that the window may grow to
  uint64_t next_place;            // where the next region is tried
  uint64_t place_below;           // address below which a huge mapping probably fits: a guess, of any thread
  uint64_t metadata_next;         // free metadata memory, from here
  uint64_t metadata_end;          // to here
  uint64_t dirty_free;            // dirty free slices in all regions
  uint64_t used;                  // slices in use
  uint64_t taken[2];              // slices taken in this period and in the one before
  uint64_t period;                // when this period began, in milliseconds
  uint32_t recent[MALLOW_RECENT_LENGTHS][MALLOW_RECENT_RUNS];  // by length: page numbers of runs that were given back lately and may be free still
  uint64_t last_region;           // address of the last mallow_region of the list
  uint64_t unused_records;        // address of the first mallow_region without a mapping
  uint64_t first_free;            // mallow_region before which no region has a free slice; 0: the list's first
  uint64_t first_dirty;           // mallow_region before which no region has a dirty free slice; 0: the list's first
  uint32_t orphans_freed;         // non-zero: blocks of orphan heaps were freed since these were last looked at
  uint32_t purge_refused;         // the system took no memory back the last time, as it does where all is locked
};
extern struct mallow_state mallow_state MALLOW_HIDDEN;

// Tells the processor that this is a loop which waits.
static inline void mallow_pause(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

static inline uint64_t mallow_load(const uint64_t *p) { return __atomic_load_n(p, __ATOMIC_ACQUIRE); }
static inline uint64_t mallow_exchange(uint64_t *p, uint64_t v) { return __atomic_exchange_n(p, v, __ATOMIC_ACQ_REL); }
static inline void mallow_store(uint64_t *p, uint64_t v) { __atomic_store_n(p, v, __ATOMIC_RELEASE); }
static inline uint64_t mallow_add(uint64_t *p, uint64_t v) { return __atomic_fetch_add(p, v, __ATOMIC_RELAXED); }
static inline void mallow_or(uint64_t *p, uint64_t v) { __atomic_fetch_or(p, v, __ATOMIC_RELAXED); }
static inline void mallow_and(uint64_t *p, uint64_t v) { __atomic_fetch_and(p, v, __ATOMIC_RELAXED); }
static inline bool mallow_compare_exchange(uint64_t *p, uint64_t *expected, uint64_t v) {
  return __atomic_compare_exchange_n(p, expected, v, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}
static inline uint32_t mallow_load32(const uint32_t *p) { return __atomic_load_n(p, __ATOMIC_ACQUIRE); }
static inline void mallow_store32(uint32_t *p, uint32_t v) { __atomic_store_n(p, v, __ATOMIC_RELEASE); }
static inline uint32_t mallow_exchange32(uint32_t *p, uint32_t v) { return __atomic_exchange_n(p, v, __ATOMIC_ACQ_REL); }
static inline bool mallow_compare_exchange32(uint32_t *p, uint32_t expected, uint32_t v) {
  return __atomic_compare_exchange_n(p, &expected, v, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}
// Atomically, though the owner's own count is not: at worst the owner writes over it, and never loses a block of the budget.
static inline void mallow_interrupt_budget(struct mallow_page *page) {
  __atomic_fetch_or(&page->budget, -MALLOW_BUDGET_INTERRUPTED, __ATOMIC_RELAXED);
}
// The same value, of which the compiler can't take the computation apart.
static inline __attribute__((always_inline)) uint64_t mallow_computed(uint64_t value) {
  __asm__("" : "+r"(value));
  return value;
}
// Writes that a reader outside must see in program order.
static inline void mallow_publish(void) { __atomic_signal_fence(__ATOMIC_SEQ_CST); }

static inline void mallow_futex_wait(uint32_t *word, uint32_t value) { syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL); }
static inline void mallow_futex_wake(uint32_t *word) { syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1); }
static inline uint32_t mallow_gettid(void) { return (uint32_t)syscall(SYS_gettid); }
static inline bool mallow_thread_exists(uint32_t thread) { return syscall(SYS_tgkill, getpid(), thread, 0) == 0 || errno != ESRCH; }
// By number, since a header can't ask for the declaration that <sys/mman.h> keeps for _GNU_SOURCE.
static inline void *_Nullable mallow_mremap(void *_Nullable old, size_t old_size, size_t new_size, int flags) {
  return (void *)syscall(SYS_mremap, old, old_size, new_size, flags, NULL);
}
static inline void *_Nullable mallow_mremap_to(void *_Nullable old, size_t old_size, size_t new_size, void *_Nullable to) {
  return (void *)syscall(SYS_mremap, old, old_size, new_size, 1 | 2 /* MREMAP_MAYMOVE | MREMAP_FIXED */, to);
}
static inline int mallow_open_maps(void) { return open("/proc/self/maps", O_RDONLY | O_CLOEXEC); }
static inline void *_Nullable mallow_map_failed(void) { return MAP_FAILED; }

// Arrays inside the structures, which Swift sees as tuples.
static inline uint64_t *mallow_direct(void) { return mallow_thread_direct; }
static inline uint64_t *mallow_heap_current(struct mallow_heap *h) { return h->current; }
static inline uint32_t *mallow_heap_first(struct mallow_heap *h, bool trailer) { return trailer ? h->trailer_first : h->first; }
static inline struct mallow_page *mallow_heap_none(struct mallow_heap *h) { return &h->none; }
static inline uint8_t *mallow_heap_refills(struct mallow_heap *h) { return h->refills; }
static inline uint8_t *mallow_heap_loans(struct mallow_heap *h) { return h->loans; }
static inline uint32_t *mallow_heap_cached(struct mallow_heap *h) { return h->cached; }
static inline uint64_t *mallow_heap_in_use(struct mallow_heap *h) { return h->in_use; }
static inline uint8_t *mallow_heap_short_refills(struct mallow_heap *h) { return h->short_refills; }
static inline uint64_t *mallow_heap_handed_out(struct mallow_heap *h) { return h->handed_out; }
static inline int64_t *mallow_heap_until_sample(struct mallow_heap *h) { return h->until_sample; }
static inline uint64_t *mallow_heap_quarantine(struct mallow_heap *h) { return h->quarantine; }
static inline uint64_t *mallow_region_free(struct mallow_region *r) { return r->free; }
static inline uint64_t *mallow_region_dirty(struct mallow_region *r) { return r->dirty; }
static inline struct mallow_hollow *mallow_region_hollow(struct mallow_region *r) { return (struct mallow_hollow *)r->hollow; }
static inline uint64_t *mallow_region_stale(struct mallow_region *r) { return r->stale; }
static inline uint64_t *mallow_stack_allocations(struct mallow_stack *s) { return &s->allocations; }
static inline uint64_t *mallow_stack_allocated_bytes(struct mallow_stack *s) { return &s->allocated_bytes; }
static inline uint64_t *mallow_stack_frees(struct mallow_stack *s) { return &s->frees; }
static inline uint64_t *mallow_stack_freed_bytes(struct mallow_stack *s) { return &s->freed_bytes; }
static inline uint64_t *mallow_stack_temporary(struct mallow_stack *s) { return &s->temporary; }
static inline uint64_t *mallow_stack_frames(struct mallow_stack *s) { return s->frames; }
static inline uint64_t *mallow_page_remote_free(struct mallow_page *p) { return &p->remote_free; }
static inline uint64_t *mallow_heap_remote_pages(struct mallow_heap *h) { return &h->remote_pages; }
static inline uint64_t *mallow_heap_state(struct mallow_heap *h) { return &h->state; }
static inline uint32_t *mallow_heap_thread(struct mallow_heap *h) { return &h->thread; }
static inline struct mallow_page *mallow_region_page(struct mallow_region *r) { return &r->page; }
static inline uint32_t *mallow_recent(int length) { return mallow_state.recent[length]; }
static inline uint64_t *mallow_taken(void) { return mallow_state.taken; }
static inline uint32_t *mallow_initialized(void) { return &mallow_state.initialized; }
static inline struct mallow_lock *mallow_main_lock(void) { return &mallow_state.lock; }
static inline struct mallow_lock *mallow_stack_lock(void) { return &mallow_state.stack_lock; }
static inline uint8_t *mallow_map(void) { return mallow_region_map; }
static inline struct mallow_page *mallow_no_page(void) { return &mallow_empty_page; }
static inline const uint32_t *mallow_sizes(void) { return mallow_block_sizes; }
static inline uint64_t *mallow_records(void) { return mallow_region_records; }
static inline struct mallow_heap *mallow_no_heap(void) { return &mallow_empty_heap; }

// glibc's lock-free search for the module of an address (dlfcn.h, glibc 2.35 and later), which the header keeps for _GNU_SOURCE.
struct mallow_found_object {
  unsigned long long flags;
  void *_Nullable map_start, *_Nullable map_end, *_Nullable link_map;
  void *_Nullable eh_frame_header;
  unsigned long long reserved[7];
};
extern int _dl_find_object(void *address, struct mallow_found_object *result);
static inline uint64_t mallow_eh_frame_header(uint64_t address) {
  struct mallow_found_object found;
  return _dl_find_object((void *)address, &found) == 0 ? (uint64_t)found.eh_frame_header : 0;
}

extern void *_Nullable __libc_stack_end;
static inline uint64_t mallow_stack_end(void) { return (uint64_t)__libc_stack_end; }

// The registers at this very place of the function that this is inlined into.
static inline __attribute__((always_inline)) void mallow_registers(uint64_t *pc, uint64_t *sp, uint64_t *fp) {
  uint64_t p, s, f;
  __asm__ volatile("leaq 0(%%rip), %0\n\tmovq %%rsp, %1\n\tmovq %%rbp, %2" : "=&r"(p), "=&r"(s), "=&r"(f));
  *pc = p; *sp = s; *fp = f;
}

extern char *_Nullable *_Nullable environ;
extern unsigned long getauxval(unsigned long type);
static inline uint64_t mallow_random_bytes(void) { return getauxval(25 /* AT_RANDOM */); }

// The value of an environment variable, or NULL.
static inline const char *_Nullable mallow_find_setting(const char *name, char *_Nullable const *_Nullable variables) {
  size_t length = strlen(name);
  for (; variables && *variables; variables++)
    if (strncmp(*variables, name, length) == 0 && (*variables)[length] == '=') return *variables + length + 1;
  return NULL;
}

static inline void mallow_print_statistics(uint64_t mapped, uint64_t live, uint64_t blocks, uint64_t free, uint64_t retained,
                                           uint64_t huge, uint64_t huge_bytes) {
  // Not a point of cancellation, so that the text is never cut short.
  int state;
  pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
  fprintf(stderr,
          "Arena 0:\nsystem bytes     = %10lu\nin use bytes     = %10lu\nin use blocks    = %10lu\nfree blocks      = %10lu\n"
          "retained bytes   = %10lu\nTotal (incl. mmap):\nsystem bytes     = %10lu\nin use bytes     = %10lu\n"
          "max mmap regions = %10lu\nmax mmap bytes   = %10lu\n",
          mapped - huge_bytes, live, blocks, free, retained, mapped, live + huge_bytes, huge, huge_bytes);
  pthread_setcancelstate(state, NULL);
}
static inline int mallow_write_information(FILE *stream, uint64_t mapped, uint64_t live, uint64_t blocks, uint64_t free,
                                           uint64_t retained, uint64_t huge, uint64_t huge_bytes) {
  return fprintf(stream,
                 "<malloc version=\"1\">\n<heap nr=\"0\">\n<total type=\"inuse\" count=\"%lu\" size=\"%lu\"/>\n"
                 "<total type=\"rest\" count=\"%lu\" size=\"%lu\"/>\n</heap>\n<total type=\"mmap\" count=\"%lu\" size=\"%lu\"/>\n"
                 "<system type=\"current\" size=\"%lu\"/>\n</malloc>\n",
                 blocks, live, free, retained, huge, huge_bytes, mapped) < 0 ? -1 : 0;
}

// What is exported under libc's names, each of the type that libc's headers declare.
#define MALLOW_FUNCTION(name, result, ...) \
  extern result mallow_##name(__VA_ARGS__); \
  _Static_assert(__builtin_types_compatible_p(__typeof__(name), __typeof__(mallow_##name)), #name)
// Empty structures: in Swift, their names mean the functions.
static inline struct mallinfo mallow_no_mallinfo(void) { return (struct mallinfo){0}; }
static inline struct mallinfo2 mallow_no_mallinfo2(void) { return (struct mallinfo2){0}; }

#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wdeprecated-declarations"
MALLOW_FUNCTION(malloc, void *_Nullable, size_t size);
MALLOW_FUNCTION(free, void, void *_Nullable block);
MALLOW_FUNCTION(calloc, void *_Nullable, size_t count, size_t size);
MALLOW_FUNCTION(realloc, void *_Nullable, void *_Nullable block, size_t size);
MALLOW_FUNCTION(reallocarray, void *_Nullable, void *_Nullable block, size_t count, size_t size);
MALLOW_FUNCTION(posix_memalign, int, void *_Nullable *_Nonnull result, size_t alignment, size_t size);
MALLOW_FUNCTION(memalign, void *_Nullable, size_t alignment, size_t size);
MALLOW_FUNCTION(valloc, void *_Nullable, size_t size);
MALLOW_FUNCTION(pvalloc, void *_Nullable, size_t size);
MALLOW_FUNCTION(malloc_usable_size, size_t, void *_Nullable block);
MALLOW_FUNCTION(malloc_trim, int, size_t padding);
MALLOW_FUNCTION(mallopt, int, int parameter, int value);
MALLOW_FUNCTION(mallinfo, struct mallinfo, void);
MALLOW_FUNCTION(mallinfo2, struct mallinfo2, void);
MALLOW_FUNCTION(malloc_stats, void, void);
MALLOW_FUNCTION(malloc_info, int, int options, FILE *stream);
#pragma clang diagnostic pop

#pragma clang assume_nonnull end
