// Maps and unmaps memory without rest, and tells how long its calls took: hold-up [MIB]
// MIB of further memory are resident meanwhile. It says "ready" at first, and at each SIGUSR1 the number of calls since the last, the
// median, the 99.9th percentile and the longest of their times in microseconds.
// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

enum { buckets = 1 << 20 };
static uint32_t histogram[buckets];  // by tenths of a microsecond
static volatile sig_atomic_t asked;

static void ask(int signal) { asked = signal; }

static uint64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static uint64_t calls, longest;

static void count(uint64_t start) {
  uint64_t taken = now() - start;
  uint64_t bucket = taken / 100;
  histogram[bucket < buckets ? bucket : buckets - 1]++;
  if (taken > longest) longest = taken;
  calls++;
}

static double percentile(double share) {
  uint64_t wanted = (uint64_t)(share * (double)calls), seen = 0;
  for (size_t i = 0; i < buckets; i++)
    if ((seen += histogram[i]) > wanted) return (double)i / 10;
  return (double)buckets / 10;
}

static void answer(void) {
  asked = 0;  // first, since the next question may come as soon as the answer is read
  printf("%llu %.1f %.1f %.1f\n", (unsigned long long)calls, percentile(0.5), percentile(0.999), (double)longest / 1000);
  fflush(stdout);
  memset(histogram, 0, sizeof histogram);
  calls = longest = 0;
}

int main(int count_of_arguments, char **arguments) {
  size_t resident = count_of_arguments > 1 ? strtoul(arguments[1], NULL, 10) << 20 : 0;
  if (resident && mmap(NULL, resident, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0) == MAP_FAILED) return 1;
  signal(SIGUSR1, ask);
  puts("ready");
  fflush(stdout);
  for (;;) {
    if (asked) answer();
    uint64_t start = now();
    char *memory = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return 1;
    count(start);
    memory[0] = 1;
    start = now();
    munmap(memory, 65536);
    count(start);
  }
}
