// The memory of this process in bytes, exactly, read without allocating. (The figure in /proc/self/statm may lag behind by some pages
// for each processor.)
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "synthetic.h"
#include <fcntl.h>

static long memory_of(const char *field) {
  char text[4096] = {0};
  int file = open("/proc/self/smaps_rollup", O_RDONLY);
  if (file < 0 || read(file, text, sizeof text - 1) <= 0) fail("/proc/self/smaps_rollup can't be read");
  close(file);
  const char *at = strstr(text, field);
  if (!at) fail("/proc/self/smaps_rollup lacks a field");
  return atol(at + strlen(field)) * 1024;
}

static inline long resident_bytes(void) { return memory_of("\nRss:"); }
