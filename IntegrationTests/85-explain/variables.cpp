// A variable of each storage class; prints where each is and waits.
// SPDX-License-Identifier: Apache-2.0
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <sys/mman.h>
#include <unistd.h>

namespace net {
struct Handler {
  virtual ~Handler() {}
  long state = 1;
};
struct Session : Handler {
  static int count;
  std::unique_ptr<Handler> handler;
  char buffer[40] = {};
};
int Session::count = 3;
std::map<int, int> global;
static Session *first;
thread_local long threadLocal = 4;
const double constant = 2.5;
} // namespace net

static long fileStatic = 5;
namespace {
int hidden = 6;
}
long zeroInitialised[10];

template <class T> struct Pool {
  static T total;
};
template <class T> T Pool<T>::total = 7;

static int next() {
  static int functionStatic = 8;
  std::printf("functionStatic %p\n", (void *)&functionStatic);
  return functionStatic++;
}

static void serve(const std::string &, int parameter) {
  net::Session local;
  local.buffer[3] = char(parameter);
  std::printf("local %p\nparameter %p\n", (void *)&local.buffer[3], (void *)&parameter);
  std::puts("ready");
  std::fflush(stdout);
  pause();
}

int main(int argc, char **argv) {
  net::first = new net::Session;
  net::first->handler = std::make_unique<net::Session>();
  net::global[1] = 2;
  void *mapping = mmap(nullptr, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  std::memset(mapping, 1, 4096);
  std::printf("global %p\nclassStatic %p\nfileStatic %p\nhidden %p\nconstant %p\nzeroInitialised %p\n", (void *)&net::global,
              (void *)&net::Session::count, (void *)&fileStatic, (void *)&hidden, (void *)&net::constant, (void *)&zeroInitialised[3]);
  std::printf("threadLocal %p\ntemplateStatic %p\n", (void *)&net::threadLocal, (void *)&Pool<long>::total);
  std::printf("argument %p\nheap %p\nmmap %p\n", (void *)argv[argc - 1], (void *)&net::first->handler->state, mapping);
  std::printf("environment %p\n", (void *)(std::getenv("EXPLAIN") - 8));
  next();
  serve("request", argc);
  return hidden;
}
