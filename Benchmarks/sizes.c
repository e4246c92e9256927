// Adds up how many bytes a program asks for, and how many it gets: a library that is preloaded before an allocator.
//
// SIZES names a file of four words, all zero at first (`truncate --size 32`), to which all processes that inherit it add:
//
//   requests  requested_bytes  usable_bytes  worst_block
//
// The file is mapped, so nothing is lost where a process is killed or executes another program. A realloc is a request like others. The
// worst block is that of more than 256 bytes of which the largest share was not asked for: that share in hundredths of a percent, times
// 2^44, plus the bytes asked for. Blocks that were asked to be aligned, or that realloc left where they were, are not among them: their
// waste is not that of size classes. What is counted is what programs may use, so headers are not.
// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

struct sizes {
  _Atomic uint64_t requests, requested, usable, worst;
};

// The allocator's own functions.
static struct {
  void *(*malloc)(size_t), *(*calloc)(size_t, size_t), *(*realloc)(void *, size_t);
  void *(*aligned_alloc)(size_t, size_t), *(*memalign)(size_t, size_t);
  int (*posix_memalign)(void **, size_t, size_t);
  size_t (*malloc_usable_size)(void *);
} next;

static struct sizes nowhere, *sizes = &nowhere;
static _Atomic int is_ready;

static void map_sizes(void) {
  char *path = getenv("SIZES");
  int file = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
  if (file < 0) return;
  void *mapped = mmap(0, sizeof *sizes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  close(file);
  if (mapped != MAP_FAILED) sizes = mapped;
}

// The first call comes long before a program's second thread. A libc whose dlsym allocates does without where it gets nothing.
static int get_ready(void) {
  static int begun;
  if (begun) return 0;
  begun = 1;
  *(void **)&next.malloc = dlsym(RTLD_NEXT, "malloc");
  *(void **)&next.calloc = dlsym(RTLD_NEXT, "calloc");
  *(void **)&next.realloc = dlsym(RTLD_NEXT, "realloc");
  *(void **)&next.aligned_alloc = dlsym(RTLD_NEXT, "aligned_alloc");
  *(void **)&next.memalign = dlsym(RTLD_NEXT, "memalign");
  *(void **)&next.posix_memalign = dlsym(RTLD_NEXT, "posix_memalign");
  *(void **)&next.malloc_usable_size = dlsym(RTLD_NEXT, "malloc_usable_size");
  int before = errno;
  map_sizes();
  errno = before;
  return is_ready = 1;
}

static inline int ready(void) { return atomic_load_explicit(&is_ready, memory_order_relaxed) || get_ready(); }

static void add(_Atomic uint64_t *sum, uint64_t value) { atomic_fetch_add_explicit(sum, value, memory_order_relaxed); }

// tcmalloc's malloc_usable_size may allocate.
static __thread int is_counting __attribute__((tls_model("initial-exec")));

static void *count(void *block, size_t requested, int may_be_worst) {
  if (!block || is_counting) return block;
  is_counting = 1;
  size_t usable = next.malloc_usable_size(block);
  is_counting = 0;
  if (usable < requested) usable = requested;  // tcmalloc does not know its first block's size, and says 0
  add(&sizes->requests, 1);
  add(&sizes->requested, requested);
  add(&sizes->usable, usable);
  if (may_be_worst && requested > 256) {
    uint64_t this = (uint64_t)((usable - requested) * 1e4 / usable) << 44 | requested;
    uint64_t worst = atomic_load_explicit(&sizes->worst, memory_order_relaxed);
    while (this > worst && !atomic_compare_exchange_weak(&sizes->worst, &worst, this)) continue;
  }
  return block;
}

void *malloc(size_t size) { return ready() ? count(next.malloc(size), size, 1) : 0; }

// The product fits where there is a block.
void *calloc(size_t number, size_t size) { return ready() ? count(next.calloc(number, size), number * size, 1) : 0; }

void *realloc(void *old, size_t size) {
  if (!ready()) return 0;
  uintptr_t before = (uintptr_t)old;
  void *block = next.realloc(old, size);
  return count(block, size, (uintptr_t)block != before);
}

void *aligned_alloc(size_t alignment, size_t size) { return ready() ? count(next.aligned_alloc(alignment, size), size, 0) : 0; }

void *memalign(size_t alignment, size_t size) { return ready() ? count(next.memalign(alignment, size), size, 0) : 0; }

int posix_memalign(void **block, size_t alignment, size_t size) {
  int error = ready() ? next.posix_memalign(block, alignment, size) : ENOMEM;
  if (!error) count(*block, size, 0);
  return error;
}

void *reallocarray(void *block, size_t number, size_t size) {
  size_t product;
  if (!__builtin_mul_overflow(number, size, &product)) return realloc(block, product);
  errno = ENOMEM;
  return 0;
}

// C++. An allocator's `new` takes its blocks where its malloc does, and libstdc++'s is made of malloc. Where there is none left, the one
// that stands behind throws.
#define NEW(name, allocated, parameters, ...)                   \
  void *name parameters;                                        \
  void *name parameters {                                       \
    void *block = allocated;                                    \
    if (block) return block;                                    \
    void *(*behind) parameters = 0;                             \
    *(void **)&behind = dlsym(RTLD_NEXT, #name);                \
    return behind(__VA_ARGS__);                                 \
  }
NEW(_Znwm, malloc(size), (size_t size), size)
NEW(_Znam, malloc(size), (size_t size), size)
NEW(_ZnwmRKSt9nothrow_t, malloc(size), (size_t size, const void *tag), size, tag)
NEW(_ZnamRKSt9nothrow_t, malloc(size), (size_t size, const void *tag), size, tag)
NEW(_ZnwmSt11align_val_t, aligned_alloc(alignment, size), (size_t size, size_t alignment), size, alignment)
NEW(_ZnamSt11align_val_t, aligned_alloc(alignment, size), (size_t size, size_t alignment), size, alignment)
NEW(_ZnwmSt11align_val_tRKSt9nothrow_t, aligned_alloc(alignment, size), (size_t size, size_t alignment, const void *tag), size,
    alignment, tag)
NEW(_ZnamSt11align_val_tRKSt9nothrow_t, aligned_alloc(alignment, size), (size_t size, size_t alignment, const void *tag), size,
    alignment, tag)
