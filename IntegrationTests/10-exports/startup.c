// How much longer a program takes to start with a library preloaded: startup LIBRARY ROUNDS prints the median times of
// `true` without and with it, and their difference, in microseconds. The runs alternate, so that a busy machine slows both.
// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1e6 + t.tv_nsec / 1e3;
}

static double run(char *environment[]) {
  char *arguments[] = {"true", 0};
  double start = now();
  pid_t pid;
  int status;
  if (posix_spawn(&pid, "/bin/true", 0, 0, arguments, environment) || waitpid(pid, &status, 0) != pid || status) exit(1);
  return now() - start;
}

static int ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

int main(int argc, char **argv) {
  if (argc != 3) return 64;
  int rounds = atoi(argv[2]);
  double *plain = malloc(rounds * sizeof *plain), *loaded = malloc(rounds * sizeof *loaded);
  char preload[4096];
  snprintf(preload, sizeof preload, "LD_PRELOAD=%s", argv[1]);
  char *without[] = {0}, *with[] = {preload, 0};
  for (int i = 0; i < rounds; i++) {
    plain[i] = run(without);
    loaded[i] = run(with);
  }
  qsort(plain, rounds, sizeof *plain, ascending);
  qsort(loaded, rounds, sizeof *loaded, ascending);
  double a = plain[rounds / 2], b = loaded[rounds / 2];
  printf("%.0f %.0f %.0f\n", a, b, b - a);
}
