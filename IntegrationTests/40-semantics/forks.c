// fork, vfork and spawning, from busy processes, from handlers, and what the child may do with the heap.
// SPDX-License-Identifier: Apache-2.0
#include "cases.h"
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <sys/time.h>
#include <sys/wait.h>

extern char **environ;

static void wait_for(pid_t child) {
  int status;
  EXPECT(child > 0);
  EXPECT(waitpid(child, &status, 0) == child);
  EXPECT(status == 0, "child status 0x%x", status);
}

static void allocate_some(unsigned seed) {
  enum { count = 200 };
  unsigned char *blocks[count] = {0};
  size_t sizes[count] = {0};
  for (int step = 0; step < 2000; step++) {
    int i = rand_r(&seed) % count;
    if (blocks[i]) EXPECT(blocks[i][0] == (unsigned char)i && blocks[i][sizes[i] - 1] == (unsigned char)i);
    free(blocks[i]);
    sizes[i] = 1 + rand_r(&seed) % (step % 50 ? 2000 : 300000);
    EXPECT((blocks[i] = malloc(sizes[i])));
    blocks[i][0] = blocks[i][sizes[i] - 1] = i;
  }
  for (int i = 0; i < count; i++) free(blocks[i]);
}

static atomic_int done;

static void *busy(void *seed) {
  for (unsigned i = (unsigned)(size_t)seed * 1000; !done; i++) allocate_some(i);
  return 0;
}

static pthread_t threads[4];
static void start_busy_threads(void) {
  for (size_t i = 0; i < 4; i++) EXPECT(!pthread_create(&threads[i], 0, busy, (void *)i));
}
static void end_busy_threads(void) {
  done = 1;
  for (int i = 0; i < 4; i++) EXPECT(!pthread_join(threads[i], 0));
}

static void *allocate_in_thread(void *unused) {
  allocate_some(1);
  return unused;
}

enum { shared_count = 1000 };
static char *shared[shared_count];

CASE(busy_process, "200 forks of a process with four busy threads; each child allocates, frees and starts a thread") {
  start_busy_threads();
  for (int i = 0; i < shared_count; i++) shared[i] = memset(malloc(i * 10 + 1), 5, i * 10 + 1);
  for (int i = 0; i < 200; i++) {
    pid_t child = fork();
    if (child == 0) {
      for (int j = 0; j < shared_count; j++) {
        EXPECT(shared[j][j * 10] == 5);
        free(shared[j]);
      }
      allocate_some(i);
      pthread_t thread;
      EXPECT(!pthread_create(&thread, 0, allocate_in_thread, 0));
      EXPECT(!pthread_join(thread, 0));
      exit(0);
    }
    wait_for(child);
  }
  end_busy_threads();
}

static void *fork_repeatedly(void *unused) {
  for (int i = 0; i < 50; i++) {
    pid_t child = fork();
    if (child == 0) {
      allocate_some(i);
      _exit(0);
    }
    wait_for(child);
    allocate_some(i);
  }
  return unused;
}

CASE(forks_in_threads, "forks from four threads at a time") {
  for (int i = 0; i < 4; i++) EXPECT(!pthread_create(&threads[i], 0, fork_repeatedly, 0));
  for (int i = 0; i < 4; i++) EXPECT(!pthread_join(threads[i], 0));
}

static char *from_thread[100];
static void *leave_blocks(void *unused) {
  for (int i = 0; i < 100; i++) from_thread[i] = strdup("a block of a thread that the child does not have");
  while (!done) usleep(100);
  return unused;
}

CASE(others_blocks, "a child frees and resizes blocks of threads that it does not have") {
  pthread_t thread;
  EXPECT(!pthread_create(&thread, 0, leave_blocks, 0));
  while (!*(char *volatile *)&from_thread[99]) usleep(100);
  pid_t child = fork();
  if (child == 0) {
    for (int i = 0; i < 100; i++) {
      from_thread[i] = realloc(from_thread[i], i % 2 ? 20 : 5000);
      EXPECT(!strncmp(from_thread[i], "a block of a thread", 19));
      free(from_thread[i]);
    }
    allocate_some(3);
    exit(0);
  }
  wait_for(child);
  done = 1;
  pthread_join(thread, 0);
}

CASE(generations, "a child of a child of a child, 40 generations") {
  char *block = strdup("inherited");
  for (int i = 0; i < 40; i++) {
    pid_t child = fork();
    if (child > 0) {
      int status;
      EXPECT(waitpid(child, &status, 0) == child && status == 0);
      exit(0);
    }
    EXPECT(child == 0 && !strcmp(block, "inherited"));
    block = realloc(block, 1000 + i);
    allocate_some(i);
  }
}

static char *prepared;
static void prepare(void) { prepared = malloc(1000); }
static void release(void) {
  free(prepared);
  allocate_some(9);
}

CASE(atfork_handlers, "handlers of pthread_atfork allocate and free, in a busy process") {
  EXPECT(!pthread_atfork(prepare, release, release));
  start_busy_threads();
  for (int i = 0; i < 50; i++) {
    pid_t child = fork();
    if (child == 0) exit(0);
    wait_for(child);
  }
  end_busy_threads();
}

CASE(vfork_exec, "vfork and exec, posix_spawn, system and popen, in a busy process") {
  start_busy_threads();
  for (int i = 0; i < 20; i++) {
    pid_t child = vfork();
    if (child == 0) {
      execl("/bin/true", "true", (char *)0);
      _exit(1);
    }
    wait_for(child);
    char *arguments[] = {"true", 0};
    EXPECT(!posix_spawn(&child, "/bin/true", 0, 0, arguments, environ));
    wait_for(child);
    EXPECT(system("true") == 0);
    FILE *pipe = popen("echo text", "r");
    char text[10];
    EXPECT(pipe && fgets(text, sizeof text, pipe) && !strcmp(text, "text\n") && pclose(pipe) == 0);
  }
  end_busy_threads();
}

static void every_millisecond(void (*handler)(int)) {
  struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
  EXPECT(!sigaction(SIGALRM, &action, 0));
  struct itimerval timer = {{0, 1000}, {0, 1000}};
  EXPECT(!setitimer(ITIMER_REAL, &timer, 0));
}

static atomic_int forks;
static void fork_in_handler(int signal) {
  (void)signal;
  pid_t child = fork();
  if (child == 0) _exit(0);
  int status;
  EXPECT(child > 0 && waitpid(child, &status, 0) == child && status == 0);
  forks++;
}

CASE(fork_in_signal_handler, "a signal handler forks while the program allocates") {
  every_millisecond(fork_in_handler);
  for (unsigned i = 0; forks < 300; i++) allocate_some(i);
}

static int is_child;
static int pipe_ends[2];
static void fork_and_return(int signal) {
  (void)signal;
  if (is_child || forks >= 200) return;
  pid_t child = fork();
  EXPECT(child >= 0);
  if (child == 0) is_child = 1;
  else {
    int status;
    EXPECT(waitpid(child, &status, 0) == child && status == 0, "child status 0x%x", status);
    forks++;
  }
}

CASE(child_of_handler_goes_on, "a child forked in a signal handler goes on in the middle of its allocation") {
  EXPECT(!pipe(pipe_ends));
  every_millisecond(fork_and_return);
  for (unsigned i = 0; forks < 200; i++) {
    allocate_some(i);
    if (is_child) {
      allocate_some(i + 1);
      exit(0);
    }
  }
}
