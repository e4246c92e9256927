// An idle program: allocates one block, then prints what it has resident, in KiB: `idle resident` all pages, `idle private`
// those that it shares with nobody. It reads with plain system calls, so that only the one block is allocated.
// smaps_rollup is exact, VmRSS is not.
// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char text[8192];

static long field(const char *name) {
  const char *at = strstr(text, name);
  return at ? atol(at + strlen(name)) : -1;
}

int main(int argc, char **argv) {
  int private = argc > 1 && !strcmp(argv[1], "private");
  *(volatile char *)malloc(100) = 1;
  int file = open("/proc/self/smaps_rollup", O_RDONLY);
  if (file < 0 || read(file, text, sizeof text - 1) <= 0) return 1;
  dprintf(1, "%ld\n", private ? field("\nPrivate_Clean:") + field("\nPrivate_Dirty:") : field("\nRss:"));
}
