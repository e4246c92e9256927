// A variable of each storage class; prints where each is and waits.
// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct session {
  struct session *next;
  char name[16];
  int ports[4];
};

struct session global = {0, "first", {1, 2, 3, 4}};
static int fileStatic = 5;
const int constant = 6;
long zeroInitialised[100];
_Thread_local int threadLocal = 7;
_Thread_local char threadLocalZeros[64];
static struct session *sessions;

static int count(void) {
  static int functionStatic = 8;
  printf("functionStatic %p\n", (void *)&functionStatic);
  return functionStatic++;
}

static pthread_barrier_t barrier;

static void *work(void *argument) {
  long workerLocal[4] = {1, 2, 3, (long)argument};
  void *library = dlopen("./plugin.so", RTLD_NOW);
  long *(*plugin)(void) = library ? (long *(*)(void))dlsym(library, "plugin") : 0;
  printf("workerLocal %p\nworkerThreadLocal %p\npluginThreadLocal %p\n", (void *)&workerLocal[2], (void *)&threadLocal,
         plugin ? (void *)plugin() : 0);
  pthread_barrier_wait(&barrier);
  pause();
  return (void *)workerLocal[2];
}

static void serve(int parameter) {
  struct session local = {0, "local", {parameter}};
  printf("local %p\nparameter %p\n", (void *)&local.ports[2], (void *)&parameter);
  puts("ready");
  fflush(stdout);
  pause();
  puts(local.name);
}

static void handle(int signal) { serve(signal); }

int main(int argc, char **argv, char **environment) {
  pthread_t thread;
  pthread_barrier_init(&barrier, 0, 2);
  pthread_create(&thread, 0, work, argv);
  pthread_setname_np(thread, "worker");
  pthread_barrier_wait(&barrier);
  for (int index = 0; index < 3; index++) {
    struct session *session = calloc(1, sizeof *session);
    session->next = sessions;
    sessions = session;
  }
  long mainLocal[3] = {argc, 2, 3};
  char *freed = malloc(3000), *cached = malloc(100), *behind = malloc(100);
  printf("freed %p\ncached %p\nmainLocal %p\n", (void *)(freed + 100), (void *)(cached + 50), (void *)&mainLocal[1]);
  void *mapping = mmap(0, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  memset(mapping, 1, 4096);
  printf("global %p\nfileStatic %p\nconstant %p\nzeroInitialised %p\n", (void *)&global.ports[1], (void *)&fileStatic, (void *)&constant,
         (void *)&zeroInitialised[10]);
  printf("threadLocal %p\nthreadLocalZeros %p\n", (void *)&threadLocal, (void *)&threadLocalZeros[4]);
  printf("argument %p\nheap %p\nmmap %p\n", (void *)(argv[argc - 1] + 1), (void *)sessions->next->next->name, mapping);
  for (char **variable = environment; *variable; variable++)
    if (!strncmp(*variable, "EXPLAIN=", 8)) printf("environment %p\n", (void *)*variable);
  printf("function %p\n", (void *)main);
  free(freed);
  free(cached);
  count();
  signal(SIGUSR1, handle);
  raise(SIGUSR1);
  return (int)mainLocal[1] + *behind;
}
