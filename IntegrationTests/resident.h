// The resident size of this process, exactly, without allocating.
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "cases.h"
#include <fcntl.h>

static long resident_kib(void) {
  char text[4096] = {0};
  int file = open("/proc/self/smaps_rollup", O_RDONLY);
  EXPECT(file >= 0 && read(file, text, sizeof text - 1) > 0);
  close(file);
  const char *at = strstr(text, "\nRss:");
  EXPECT(at);
  return atol(at + 5);
}
