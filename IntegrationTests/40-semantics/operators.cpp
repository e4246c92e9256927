// operator new and delete in all their forms, the new-handler protocol, and containers on top of them.
// SPDX-License-Identifier: Apache-2.0
#include "cases.h"
#include <cstdint>
#include <dlfcn.h>
#include <map>
#include <memory>
#include <new>
#include <string>
#include <sys/resource.h>
#include <thread>
#include <vector>

using std::align_val_t;
using std::nothrow;
using std::size_t;

static volatile size_t huge = PTRDIFF_MAX;
static volatile size_t small = 100;

static bool is_aligned(void *p, size_t alignment) { return reinterpret_cast<uintptr_t>(p) % alignment == 0; }

CASE(ours, "the operators are the library's") {
  for (const char *name : {"_Znwm", "_Znam", "_ZdlPv", "_ZdaPvm", "_ZnwmSt11align_val_t", "_ZdlPvmSt11align_val_t"}) {
    Dl_info info;
    EXPECT(dladdr(dlsym(RTLD_DEFAULT, name), &info) && strstr(info.dli_fname, "libmallow"), "%s is in %s", name, info.dli_fname);
  }
}

CASE(forms, "each form of new goes with each form of delete") {
  for (int i = 0; i < 1000; i++) {
    operator delete(operator new(small));
    operator delete(operator new(small), small);
    operator delete(operator new(small, nothrow), nothrow);
    operator delete[](operator new[](small));
    operator delete[](operator new[](small), small);
    operator delete[](operator new[](small, nothrow), nothrow);
    for (size_t a = 8; a <= 65536; a *= 2) {
      auto alignment = align_val_t(a);
      void *blocks[] = {operator new(small, alignment), operator new(small, alignment, nothrow), operator new[](small, alignment),
                        operator new[](small, alignment, nothrow), operator new(small, alignment)};
      for (void *p : blocks) EXPECT(p && is_aligned(p, a), "alignment %zu: %p", a, p);
      operator delete(blocks[0], alignment);
      operator delete(blocks[1], alignment, nothrow);
      operator delete[](blocks[2], small, alignment);
      operator delete[](blocks[3], alignment, nothrow);
      operator delete(blocks[4], small, alignment);
    }
  }
  operator delete(nullptr);
  operator delete[](nullptr, small);
}

CASE(zero, "operator new(0) gives a block of its own") {
  small = 0;
  void *p = operator new(small), *q = operator new[](small);
  EXPECT(p && q && p != q);
  operator delete(p);
  operator delete[](q);
}

// Whether a call throws bad_alloc.
template <class Call> static bool throws(Call call) {
  try {
    call();
  } catch (const std::bad_alloc &) {
    return true;
  }
  return false;
}

CASE(bad_alloc, "new throws bad_alloc, nothrow new returns no block") {
  EXPECT(throws([] { operator new(huge); }));
  EXPECT(throws([] { operator new[](huge); }));
  EXPECT(throws([] { operator new(huge, align_val_t(64)); }));
  EXPECT(throws([] { operator new[](huge, align_val_t(4096)); }));
  EXPECT(!operator new(huge, nothrow));
  EXPECT(!operator new[](huge, nothrow));
  EXPECT(!operator new(huge, align_val_t(64), nothrow));
  EXPECT(!operator new[](huge, align_val_t(64), nothrow));
  EXPECT(throws([] { delete[] new char[huge]; }));
  EXPECT(throws([] { std::vector<char>().reserve(huge); }));
}

static int calls;

CASE(handler_gives_up, "the new handler is called until there is none") {
  std::set_new_handler([] {
    if (++calls == 3) std::set_new_handler(nullptr);
  });
  EXPECT(throws([] { operator new(huge); }));
  EXPECT(calls == 3, "%d calls", calls);
}

CASE(handler_nothrow, "nothrow new calls the handler too, and swallows what it throws") {
  std::set_new_handler([] {
    calls++;
    throw std::bad_alloc();
  });
  EXPECT(!operator new(huge, nothrow));
  EXPECT(!operator new[](huge, align_val_t(64), nothrow));
  EXPECT(calls == 2, "%d calls", calls);
}

struct other_failure : std::bad_alloc {};

CASE(handler_throws, "what the handler throws comes out of new") {
  std::set_new_handler([] { throw other_failure(); });
  bool caught = false;
  try {
    operator new(huge);
  } catch (const other_failure &) {
    caught = true;
  }
  EXPECT(caught);
}

static void *reserve;

CASE(handler_frees, "after the handler has freed memory, new succeeds") {
  size_t pages;
  FILE *statm = fopen("/proc/self/statm", "r");
  EXPECT(statm && fscanf(statm, "%zu", &pages) == 1);
  fclose(statm);
  rlim_t room = pages * getpagesize() + (300 << 20);
  rlimit limit = {room, room};
  EXPECT(!setrlimit(RLIMIT_AS, &limit));
  size_t size = 200 << 20;
  reserve = operator new(size);
  std::set_new_handler([] {
    calls++;
    EXPECT(reserve, "called again, though the memory was freed");
    operator delete(reserve);
    reserve = nullptr;
  });
  void *p = operator new(size);
  EXPECT(p && calls == 1);
  operator delete(p);
}

struct alignas(128) Line {
  char bytes[128];
};

CASE(containers, "containers, over-aligned types and shared pointers in four threads") {
  auto work = [](unsigned seed) {
    std::map<int, std::vector<std::shared_ptr<std::string>>> map;
    std::vector<Line> lines;
    for (int i = 0; i < 100000; i++) {
      int key = rand_r(&seed) % 500;
      map[key].push_back(std::make_shared<std::string>(rand_r(&seed) % 200, char('a' + key % 26)));
      if (map[key].size() > 20) map.erase(key);
      lines.emplace_back();
      EXPECT(is_aligned(&lines.back(), 128));
      if (lines.size() > 1000) std::vector<Line>().swap(lines);
    }
    for (auto &[key, strings] : map)
      for (auto &s : strings)
        for (char c : *s) EXPECT(c == 'a' + key % 26);
  };
  std::vector<std::thread> threads;
  for (unsigned i = 1; i <= 4; i++) threads.emplace_back(work, i);
  for (auto &t : threads) t.join();
}
