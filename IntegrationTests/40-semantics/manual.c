// What the C, POSIX and glibc manuals promise of each function.
// SPDX-License-Identifier: Apache-2.0
#include "cases.h"
#include "resident.h"
#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <stdint.h>

static const size_t too_large[] = {PTRDIFF_MAX, (size_t)PTRDIFF_MAX + 1, SIZE_MAX - 65536, SIZE_MAX - 16, SIZE_MAX};
#define FOR_EACH_TOO_LARGE(SIZE) for (size_t k = 0, SIZE; k < 5 && (SIZE = too_large[k], 1); k++)

// Every size up to 4,200, then ever larger steps up to 40 MiB.
#define FOR_EACH_SIZE(SIZE) for (size_t SIZE = 0; SIZE < (40 << 20); SIZE += SIZE < 4200 ? 1 : SIZE / 5 + 1)

static int is_aligned(void *p, size_t alignment) { return (uintptr_t)p % alignment == 0; }

static int is_all(const unsigned char *p, unsigned char value, size_t size) {
  return size == 0 || (p[0] == value && !memcmp(p, p + 1, size - 1));
}

CASE(alignment, "every size of malloc, calloc and realloc is aligned to 16") {
  FOR_EACH_SIZE(size) {
    void *a = malloc(size), *b = calloc(1, size), *c = realloc(malloc(1), size + 1);
    EXPECT(a && b && c, "size %zu", size);
    EXPECT(is_aligned(a, 16) && is_aligned(b, 16) && is_aligned(c, 16), "size %zu: %p %p %p", size, a, b, c);
    free(a);
    free(b);
    free(c);
  }
}

CASE(zero, "malloc(0) gives a block of its own") {
  enum { count = 1000 };
  static void *blocks[count];
  for (int i = 0; i < count; i++) {
    blocks[i] = i % 2 ? malloc(0) : calloc(0, 8);
    EXPECT(blocks[i]);
    for (int j = 0; j < i; j++) EXPECT(blocks[j] != blocks[i]);
  }
  for (int i = 0; i < count; i++) free(blocks[i]);
}

#define EXPECT_ENOMEM(CALL)          \
  do {                               \
    errno = 0;                       \
    void *volatile result = CALL;    \
    EXPECT(result == 0, "%zu", size); \
    EXPECT(errno == ENOMEM, "%zu", size); \
  } while (0)

CASE(enomem, "a size too large gives ENOMEM, from every function") {
  FOR_EACH_TOO_LARGE(size) {
    EXPECT_ENOMEM(malloc(size));
    EXPECT_ENOMEM(calloc(1, size));
    EXPECT_ENOMEM(calloc(size, 1));
    EXPECT_ENOMEM(realloc(0, size));
    EXPECT_ENOMEM(reallocarray(0, 1, size));
    EXPECT_ENOMEM(memalign(64, size));
    EXPECT_ENOMEM(memalign(1 << 20, size));
    EXPECT_ENOMEM(aligned_alloc(4096, size));
    EXPECT_ENOMEM(valloc(size));
    EXPECT_ENOMEM(pvalloc(size));
  }
}

CASE(overflow, "a product that overflows gives ENOMEM") {
  size_t size = 0;
  EXPECT_ENOMEM(calloc(SIZE_MAX, 2));
  EXPECT_ENOMEM(calloc((size_t)1 << 33, (size_t)1 << 33));
  EXPECT_ENOMEM(calloc(3, SIZE_MAX / 3 + 2));
  EXPECT_ENOMEM(reallocarray(0, SIZE_MAX, 2));
  EXPECT_ENOMEM(reallocarray(0, (size_t)1 << 33, (size_t)1 << 33));
}

CASE(realloc_failure, "a realloc that fails keeps the block") {
  static const size_t sizes[] = {1, 100, 5000, 200000, 5 << 20, 100 << 20};
  for (int i = 0; i < 6; i++) {
    unsigned char *p = malloc(sizes[i]);
    memset(p, 0x42, sizes[i]);
    FOR_EACH_TOO_LARGE(size) {
      EXPECT_ENOMEM(realloc(p, size));
      EXPECT_ENOMEM(reallocarray(p, size, 3));
    }
    EXPECT(is_all(p, 0x42, sizes[i]));
    free(p);
  }
}

CASE(realloc_contents, "realloc keeps the contents, growing and shrinking") {
  unsigned seed = 1;
  for (int round = 0; round < 200; round++) {
    size_t size = 0;
    unsigned char *p = 0;
    for (int step = 0; step < 20; step++) {
      size_t next = 1 + rand_r(&seed) % ((size_t)1 << (1 + rand_r(&seed) % 24));
      p = realloc(p, next);
      EXPECT(p);
      for (size_t i = 0; i < size && i < next; i += 1 + i / 64) EXPECT(p[i] == (unsigned char)(i * 7), "%zu to %zu", size, next);
      for (size_t i = 0; i < next; i++) p[i] = i * 7;
      size = next;
    }
    free(p);
  }
}

CASE(realloc_zero, "realloc(p, 0) frees and returns no block") {
  long before = resident_kib();
  for (int i = 0; i < 200000; i++) {
    char *p = malloc(1000);
    memset(p, 1, 1000);
    EXPECT(realloc(p, 0) == 0);
  }
  EXPECT(resident_kib() < before + 4096, "%ld KiB grew to %ld", before, resident_kib());
}

CASE(realloc_null, "realloc of no block is malloc") {
  void *p = realloc(0, 100), *q = realloc(0, 0), *r = reallocarray(0, 10, 10);
  EXPECT(p && q && r);
  free(p);
  free(q);
  free(r);
}

CASE(free_null, "free of no block does nothing") {
  free(0);
  EXPECT(malloc_usable_size(0) == 0);
}

CASE(calloc_zero, "calloc gives zeros, also in memory that was dirty") {
  for (int round = 0; round < 3; round++) {
    FOR_EACH_SIZE(size) {
      unsigned char *p = malloc(size);
      memset(p, 0xee, size);
      free(p);
      unsigned char *q = calloc(1, size);
      EXPECT(q && is_all(q, 0, size), "size %zu", size);
      memset(q, 0xdd, size);
      free(q);
    }
  }
}

CASE(calloc_untouched, "calloc does not touch memory that is fresh from the kernel") {
  long before = resident_kib();
  char *p = calloc(1, 500 << 20);
  EXPECT(p);
  EXPECT(resident_kib() < before + 4096, "%ld KiB grew to %ld", before, resident_kib());
  free(p);
}

CASE(posix_memalign_rules, "posix_memalign: EINVAL and ENOMEM returned, the pointer untouched, errno set only by ENOMEM as in glibc") {
  static const size_t wrong[] = {0, 1, 2, 4, 3, 12, 24, 48, 4097, SIZE_MAX};
  for (int i = 0; i < 10; i++) {
    void *p = (void *)0x1234;
    errno = 77;
    EXPECT(posix_memalign(&p, wrong[i], 100) == EINVAL, "alignment %zu", wrong[i]);
    EXPECT(p == (void *)0x1234 && errno == 77);
  }
  FOR_EACH_TOO_LARGE(size) {
    void *p = (void *)0x1234;
    errno = 77;
    EXPECT(posix_memalign(&p, 64, size) == ENOMEM, "size %zu", size);
    EXPECT(p == (void *)0x1234 && errno == ENOMEM, "errno %d", errno);
  }
  void *p = 0;
  errno = 77;
  EXPECT(posix_memalign(&p, 8, 0) == 0 && p && errno == 77);
  free(p);
}

CASE(alignments, "every alignment up to 256 MiB, with blocks of many sizes") {
  for (size_t alignment = 8; alignment <= (256 << 20); alignment *= 2) {
    for (size_t size = 0; size < (3 << 20); size = size * 3 + 1) {
      void *p = 0;
      EXPECT(posix_memalign(&p, alignment, size) == 0, "alignment %zu, size %zu", alignment, size);
      void *q = aligned_alloc(alignment, size), *r = memalign(alignment, size);
      EXPECT(q && r && is_aligned(p, alignment) && is_aligned(q, alignment) && is_aligned(r, alignment),
             "alignment %zu, size %zu: %p %p %p", alignment, size, p, q, r);
      memset(p, 1, size);
      memset(q, 2, size);
      memset(r, 3, size);
      EXPECT(is_all(p, 1, size) && is_all(q, 2, size) && is_all(r, 3, size));
      EXPECT(malloc_usable_size(p) >= size);
      free(p);
      q = realloc(q, size * 2 + 1);
      EXPECT(q && is_all(q, 2, size));
      free(q);
      free(r);
    }
  }
}

CASE(memalign_rounds, "memalign rounds an odd alignment up to a power of two, as glibc does") {
  for (size_t alignment = 1; alignment < 5000; alignment += 37) {
    size_t power = 1;
    while (power < alignment) power *= 2;
    void *p = memalign(alignment, 100);
    EXPECT(p && is_aligned(p, power), "alignment %zu: %p", alignment, p);
    free(p);
  }
  errno = 0;
  EXPECT(memalign(SIZE_MAX / 2 + 2, 1) == 0 && errno == EINVAL, "errno %d", errno);
}

CASE(pages, "valloc and pvalloc give pages") {
  size_t page = getpagesize();
  for (size_t size = 0; size < 20000; size += 333) {
    void *p = valloc(size), *q = pvalloc(size);
    EXPECT(p && q && is_aligned(p, page) && is_aligned(q, page));
    EXPECT(malloc_usable_size(q) >= (size + page - 1) / page * page, "pvalloc(%zu)", size);
    free(p);
    free(q);
  }
}

CASE(usable_size, "malloc_usable_size is at least the request, and all of it is usable") {
  FOR_EACH_SIZE(size) {
    unsigned char *p = malloc(size), *q = malloc(size);
    size_t usable = malloc_usable_size(p);
    EXPECT(usable >= size, "size %zu: usable %zu", size, usable);
    memset(p, 1, usable);
    memset(q, 2, malloc_usable_size(q));
    EXPECT(is_all(p, 1, usable));
    free(p);
    free(q);
  }
}

CASE(free_errno, "free keeps errno") {
  FOR_EACH_SIZE(size) {
    void *p = malloc(size);
    errno = 1234;
    free(p);
    EXPECT(errno == 1234, "size %zu", size);
  }
}

CASE(sized_free, "free_sized and free_aligned_sized free") {
  void (*free_sized)(void *, size_t) = dlsym(RTLD_DEFAULT, "free_sized");
  void (*free_aligned_sized)(void *, size_t, size_t) = dlsym(RTLD_DEFAULT, "free_aligned_sized");
  void (*cfree)(void *) = dlsym(RTLD_DEFAULT, "cfree");
  EXPECT(free_sized && free_aligned_sized && cfree);
  long before = resident_kib();
  for (int i = 0; i < 100000; i++) {
    free_sized(memset(malloc(1000), 1, 1000), 1000);
    free_aligned_sized(memset(aligned_alloc(256, 1024), 1, 1024), 256, 1024);
    cfree(memset(malloc(500), 1, 500));
  }
  free_sized(0, 10);
  free_aligned_sized(0, 16, 10);
  EXPECT(resident_kib() < before + 4096, "%ld KiB grew to %ld", before, resident_kib());
}

extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t), *__libc_valloc(size_t), *__libc_pvalloc(size_t);
extern void __libc_free(void *);

CASE(aliases, "glibc's __libc_ names are the same allocator") {
  void *blocks[] = {__libc_malloc(100),       __libc_calloc(10, 10), __libc_realloc(malloc(10), 100),
                    __libc_memalign(64, 100), __libc_valloc(100),    __libc_pvalloc(100)};
  for (int i = 0; i < 6; i++) {
    EXPECT(blocks[i] && malloc_usable_size(blocks[i]) >= 100);
    free(blocks[i]);
  }
  __libc_free(malloc(100));
}

CASE(from_libc, "blocks that libc allocates can be freed, and libc frees ours") {
  char *copy = strdup("text"), *path = realpath("/", 0), *line = malloc(1), *text = 0;
  size_t capacity = 1;
  FILE *file = fopen("/proc/self/maps", "r");
  EXPECT(file && getline(&line, &capacity, file) > 0 && capacity > 1);
  fclose(file);
  EXPECT(asprintf(&text, "%0*d", 5000, 1) == 5000);
  char *stream_text;
  size_t stream_size;
  FILE *stream = open_memstream(&stream_text, &stream_size);
  for (int i = 0; i < 10000; i++) fputs("0123456789", stream);
  fclose(stream);
  EXPECT(stream_size == 100000);
  free(copy);
  free(path);
  free(line);
  free(text);
  free(stream_text);
}

CASE(mallinfo_grows, "mallinfo and mallinfo2 follow what is in use") {
  struct mallinfo2 before = mallinfo2();
  enum { count = 1000 };
  static char *blocks[count];
  for (int i = 0; i < count; i++) blocks[i] = malloc(1000);
  struct mallinfo2 full = mallinfo2();
  EXPECT(full.uordblks >= before.uordblks + count * 1000, "%zu to %zu", before.uordblks, full.uordblks);
  EXPECT(full.uordblks <= before.uordblks + count * 1300, "%zu to %zu", before.uordblks, full.uordblks);
  EXPECT(full.arena + full.hblkhd >= full.uordblks, "%zu + %zu", full.arena, full.hblkhd);
  char *large = malloc(100 << 20);
  struct mallinfo2 larger = mallinfo2();
  EXPECT(larger.uordblks + larger.hblkhd >= full.uordblks + full.hblkhd + (100 << 20));
  free(large);
  for (int i = 0; i < count; i++) free(blocks[i]);
  struct mallinfo2 after = mallinfo2();
  EXPECT(after.uordblks <= before.uordblks + 10000, "%zu to %zu", before.uordblks, after.uordblks);
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
  struct mallinfo small = mallinfo();
  EXPECT((size_t)small.uordblks == after.uordblks, "%d and %zu", small.uordblks, after.uordblks);
}

CASE(malloc_info_xml, "malloc_info writes XML and refuses options") {
  char *text;
  size_t size;
  FILE *stream = open_memstream(&text, &size);
  EXPECT(malloc_info(0, stream) == 0);
  fclose(stream);
  EXPECT(!strncmp(text, "<malloc version=\"", 17) && strstr(text, "</malloc>\n"), "%.200s", text);
  EXPECT(malloc_info(1, stdout) == EINVAL);
  free(text);
}

CASE(malloc_stats_writes, "malloc_stats writes to standard error") {
  int ends[2], saved = dup(2);
  EXPECT(!pipe(ends));
  dup2(ends[1], 2);
  malloc_stats();
  dup2(saved, 2);
  char text[4096];
  EXPECT(read(ends[0], text, sizeof text) > 20);
}

CASE(mallopt_accepts, "mallopt accepts glibc's parameters") {
  static const int parameters[] = {M_MXFAST, M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD, M_MMAP_MAX, M_ARENA_MAX, M_ARENA_TEST};
  for (int i = 0; i < 7; i++) EXPECT(mallopt(parameters[i], 64) == 1, "parameter %d", parameters[i]);
  free(malloc(100));
}

CASE(trim_says, "malloc_trim says whether memory was given back") {
  enum { count = 100000 };
  static char *blocks[count];
  for (int i = 0; i < count; i++) blocks[i] = memset(malloc(500), 1, 500);
  for (int i = 0; i < count; i++) free(blocks[i]);
  EXPECT(malloc_trim(0) == 1);
  EXPECT(malloc_trim(0) == 0);
}

CASE(many_large, "70,000 blocks of 200 KiB, every other one freed: no limit on mappings is met") {
  enum { count = 70000 };
  static char *blocks[count];
  for (int i = 0; i < count; i++) {
    blocks[i] = malloc(200 << 10);
    EXPECT(blocks[i], "block %d", i);
    blocks[i][0] = 1;
  }
  for (int i = 0; i < count; i += 2) free(blocks[i]);
  malloc_trim(0);
  for (int i = 0; i < count; i += 2) EXPECT((blocks[i] = malloc(100 << 10)), "block %d", i);
  for (int i = 0; i < count; i++) free(blocks[i]);
}
