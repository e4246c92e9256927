// Maps and unmaps memory without rest, and says at the end how long its calls were held up: churn SECONDS
// It prints the number of calls, and the median, the 99.9th percentile and the longest of their times in microseconds. The loop ends
// early where it is sent SIGTERM or SIGINT.
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
static volatile sig_atomic_t ended;

static void end(int signal) { ended = signal; }

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

int main(int count_of_arguments, char **arguments) {
  uint64_t limit = now() + (uint64_t)(atof(count_of_arguments > 1 ? arguments[1] : "1") * 1e9);
  // Further memory, so that there is something to look at meanwhile.
  size_t resident = count_of_arguments > 2 ? strtoul(arguments[2], NULL, 10) << 20 : 0;
  if (resident && mmap(NULL, resident, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0) == MAP_FAILED) return 1;
  signal(SIGTERM, end);
  signal(SIGINT, end);
  puts("ready");
  fflush(stdout);
  if (resident) limit = now() + (uint64_t)(atof(arguments[1]) * 1e9);
  while (!ended && now() < limit) {
    uint64_t start = now();
    char *memory = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return 1;
    count(start);
    memory[0] = 1;
    start = now();
    munmap(memory, 65536);
    count(start);
  }
  printf("%llu %.1f %.1f %.1f\n", (unsigned long long)calls, percentile(0.5), percentile(0.999), (double)longest / 1000);
  return 0;
}
