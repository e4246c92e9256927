// Runs a program with a library preloaded and writes down what it took.
//
//   measure FIGURES PRELOAD COMMAND…
//
// appends one line to the file FIGURES: wall_seconds user_seconds system_seconds peak_rss_bytes exit_status
// PRELOAD is the program's LD_PRELOAD; where it is empty, the program has none. MEASURE_ENV holds more variables for the program
// alone, as VAR=VALUE, separated by spaces. CPU time is that of the program and of the processes it waited for, the peak is that of
// the largest of them. SIGTERM and SIGINT are passed on to the program.
//
// It is a process of its own, linked statically, because a process inherits the peak of whoever starts it: a peak measured by a
// shell could not be less than the shell's own size.
// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const int passed_on[] = {SIGTERM, SIGINT};
static pid_t child;

static void pass_on(int signal) { kill(child, signal); }

static double seconds(struct timeval time) { return time.tv_sec + time.tv_usec / 1e6; }

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec + time.tv_nsec / 1e9;
}

static void become(const char *preload, char **command) {
  // A shell starts its background processes with SIGINT ignored, but some servers are stopped by it.
  for (int i = 0; i < 2; i++) signal(passed_on[i], SIG_DFL);
  if (*preload) setenv("LD_PRELOAD", preload, 1);
  else unsetenv("LD_PRELOAD");
  char *more = getenv("MEASURE_ENV");
  for (char *each = more ? strtok(strdup(more), " ") : 0; each; each = strtok(0, " ")) putenv(each);
  unsetenv("MEASURE_ENV");
  execvp(command[0], command);
  fprintf(stderr, "measure: %s does not start: %s\n", command[0], strerror(errno));
  _exit(127);
}

int main(int count, char **arguments) {
  if (count < 4) {
    fprintf(stderr, "usage: measure FIGURES PRELOAD COMMAND…\n");
    return 64;
  }
  int figures = open(arguments[1], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  if (figures < 0) {
    fprintf(stderr, "measure: %s can't be written: %s\n", arguments[1], strerror(errno));
    return 1;
  }

  sigset_t held, before;
  sigemptyset(&held);
  for (int i = 0; i < 2; i++) sigaddset(&held, passed_on[i]);
  sigprocmask(SIG_BLOCK, &held, &before);
  double start = now();
  child = fork();
  if (child < 0) {
    fprintf(stderr, "measure: fork: %s\n", strerror(errno));
    return 1;
  }
  if (child == 0) {
    sigprocmask(SIG_SETMASK, &before, 0);
    become(arguments[2], arguments + 3);
  }
  for (int i = 0; i < 2; i++) signal(passed_on[i], pass_on);
  sigprocmask(SIG_SETMASK, &before, 0);

  int status;
  struct rusage used;
  while (wait4(child, &status, 0, &used) < 0)
    if (errno != EINTR) return 1;
  double end = now();

  int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  dprintf(figures, "%.6f %.6f %.6f %ld %d\n", end - start, seconds(used.ru_utime), seconds(used.ru_stime), used.ru_maxrss * 1024, code);
  return code;
}
