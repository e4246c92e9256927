// Allocation at the edges of a process's and a thread's life: before main, after exit handlers, in destructors of
// thread-local storage, from libraries that come and go. Takes the plugin's path from PLUGIN.
// SPDX-License-Identifier: Apache-2.0
#include "cases.h"
#include "resident.h"
#include <dlfcn.h>
#include <limits.h>
#include <memory>
#include <pthread.h>
#include <semaphore.h>
#include <string>
#include <ucontext.h>
#include <vector>

static void *touched(size_t size) {
  void *p = malloc(size);
  EXPECT(p);
  return memset(p, 0x77, size);
}

// MARK: Before main and after exit

static void *early[3];
static void preinit(int, char **, char **) { early[0] = touched(100); }
__attribute__((section(".preinit_array"), used)) static void (*preinit_entry)(int, char **, char **) = preinit;
__attribute__((constructor(101))) static void constructor() { early[1] = touched(100000); }
static std::unique_ptr<std::string> global(new std::string(1000, 'g'));

CASE(before_main, "blocks allocated before main are as good as others") {
  EXPECT(early[0] && early[1] && global->size() == 1000);
  early[0] = realloc(early[0], 5000);
  free(early[0]);
  free(early[1]);
  global.reset();
}

// Runs after all exit handlers and static destructors: only if it gets here does the process exit with 0.
static int expected_handlers = -1;
static int handlers;
__attribute__((destructor(101))) static void last_word() {
  if (expected_handlers < 0) return;
  for (size_t size = 1; size < (8 << 20); size *= 3) free(touched(size));
  _exit(handlers == expected_handlers ? 0 : 3);
}

CASE(after_exit, "exit handlers and destructors allocate and free") {
  static std::vector<std::string> late(100, std::string(500, 'x'));
  expected_handlers = 2;
  early[2] = touched(200);
  atexit([] {
    free(early[2]);
    free(touched(300));
    handlers++;
  });
  on_exit(
    [](int, void *block) {
      free(block);
      free(touched(1 << 20));
      handlers++;
    },
    touched(400));
  exit(1);
}

CASE(after_quick_exit, "quick_exit's handlers allocate and free") {
  at_quick_exit([] {
    free(touched(300));
    _exit(0);
  });
  quick_exit(1);
}

CASE(thread_exits_process, "exit from another thread while this one allocates") {
  expected_handlers = 1;
  atexit([] { handlers++; });
  pthread_t thread;
  EXPECT(!pthread_create(&thread, 0, [](void *) -> void * { exit(1); }, 0));
  for (;;) free(touched(100));
}

// MARK: Threads

static void run_thread(void *(*body)(void *), void *argument = nullptr) {
  pthread_t thread;
  EXPECT(!pthread_create(&thread, 0, body, argument));
  EXPECT(!pthread_join(thread, 0));
}

static pthread_key_t keys[4];
static int rounds;

static void key_destructor(void *block) {
  free(block);
  free(touched(50));
  free(touched(50000));
  // Again, for as many rounds as POSIX grants: by now other destructors have run, the allocator's too if it has one.
  if (++rounds < 4 * PTHREAD_DESTRUCTOR_ITERATIONS)
    for (auto key : keys)
      if (!pthread_getspecific(key)) pthread_setspecific(key, touched(64));
}

CASE(key_destructors, "destructors of pthread keys allocate and free, in every round") {
  for (auto &key : keys) EXPECT(!pthread_key_create(&key, key_destructor));
  for (int i = 0; i < 200; i++) {
    rounds = 0;
    run_thread([](void *) -> void * {
      pthread_setspecific(keys[0], touched(64));
      return nullptr;
    });
    EXPECT(rounds >= PTHREAD_DESTRUCTOR_ITERATIONS, "%d rounds", rounds);
  }
}

CASE(thread_local_objects, "destructors of C++ thread_local objects allocate and free") {
  struct Holder {
    std::vector<std::string> strings;
    ~Holder() {
      strings.emplace_back(2000, 'z');
      rounds++;
    }
  };
  for (int i = 0; i < 200; i++)
    run_thread([](void *) -> void * {
      static thread_local Holder holder;
      for (int j = 0; j < 50; j++) holder.strings.emplace_back(j * 10, 'y');
      return nullptr;
    });
  EXPECT(rounds == 200);
}

CASE(memory_of_dead_threads, "2,000 threads that leave blocks behind: their memory is used again") {
  static void *left[100];
  long after_100 = 0;
  for (int i = 0; i < 2000; i++) {
    run_thread([](void *) -> void * {
      for (auto &p : left) p = touched(2000);
      return nullptr;
    });
    for (auto p : left) free(p);
    if (i == 100) after_100 = resident_kib();
  }
  EXPECT(resident_kib() < after_100 + 4096, "%ld KiB grew to %ld", after_100, resident_kib());
}

CASE(many_threads, "500 threads at the same time, with the smallest stacks") {
  static sem_t go;
  sem_init(&go, 0, 0);
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  EXPECT(!pthread_attr_setstacksize(&attributes, PTHREAD_STACK_MIN));
  pthread_t threads[500];
  for (auto &t : threads)
    EXPECT(!pthread_create(
      &t, &attributes,
      [](void *) -> void * {
        void *p = touched(100), *q = touched(100000), *r = touched(5 << 20);
        sem_wait(&go);
        free(q);
        free(touched(1000));
        free(r);
        return p;
      },
      nullptr));
  for (size_t i = 0; i < 500; i++) sem_post(&go);
  for (auto t : threads) {
    void *p;
    EXPECT(!pthread_join(t, &p));
    free(p);
  }
}

CASE(main_thread_ends, "the main thread ends, others go on") {
  static void *block = touched(1000);
  pthread_t thread;
  EXPECT(!pthread_create(
    &thread, 0,
    [](void *main) -> void * {
      EXPECT(!pthread_join(pthread_t(main), nullptr));
      free(block);
      for (int i = 0; i < 100000; i++) free(touched(i % 500));
      exit(0);
    },
    (void *)pthread_self()));
  pthread_exit(nullptr);
}

CASE(on_own_stack, "allocation on a coroutine's stack") {
  static ucontext_t here, there;
  static bool done;
  getcontext(&there);
  there.uc_stack.ss_sp = touched(16384);
  there.uc_stack.ss_size = 16384;
  there.uc_link = &here;
  makecontext(&there, [] {
    for (size_t size = 1; size < (8 << 20); size *= 3) free(touched(size));
    done = true;
  }, 0);
  swapcontext(&here, &there);
  EXPECT(done);
  free(there.uc_stack.ss_sp);
}

// MARK: Libraries

static void load_and_unload() {
  void *library = dlopen(getenv("PLUGIN"), RTLD_NOW);
  EXPECT(library, "%s", dlerror());
  auto plugin_block = (char *(*)())dlsym(library, "plugin_block");
  char *text = plugin_block();
  EXPECT(!strcmp(text, "from a plugin"));
  EXPECT(!dlclose(library));
  free(text);
}

CASE(libraries, "a library allocates in its constructor and frees in its destructor, 1,000 times") {
  for (int i = 0; i < 1000; i++) load_and_unload();
}

CASE(libraries_in_threads, "the same from four threads, with thread-local storage of the library") {
  pthread_t threads[4];
  for (auto &t : threads)
    EXPECT(!pthread_create(&t, 0, [](void *) -> void * {
      for (int i = 0; i < 200; i++) load_and_unload();
      return nullptr;
    }, nullptr));
  for (auto t : threads) EXPECT(!pthread_join(t, nullptr));
}
