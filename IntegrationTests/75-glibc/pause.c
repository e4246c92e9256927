/* Preloaded: makes a program wait at its very end, once it has said so.
   SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

__attribute__((destructor)) static void wait_at_the_end(void) {
  const char *name = getenv("PAUSED");
  int file = name ? open(name, O_WRONLY) : -1;
  if (file < 0) return;
  dprintf(file, "%d\n", getpid());
  close(file);
  for (;;) pause();
}
