// A program that does next to nothing: one small block. It starts itself anew 1,500 times, one after the other, so that the CPU time is that
// of short-lived processes; the peak is what each of them pays.
// SPDX-License-Identifier: Apache-2.0
#include "synthetic.h"
#include <spawn.h>
#include <sys/wait.h>

extern char **environ;

int main(int count, char **values) {
  drop(make(100));
  if (count > 1 && !strcmp(values[1], "once")) return 0;
  begin(count, values);
  char *again[] = {values[0], (char *)"once", 0};
  for (long left = scaled(1500); left > 0; left--) {
    pid_t child;
    int status;
    if (posix_spawn(&child, "/proc/self/exe", 0, 0, again, environ) || waitpid(child, &status, 0) != child || status)
      fail("it can't be started again");
  }
}
