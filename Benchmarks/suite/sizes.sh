# shellcheck shell=bash
# Counting what programs ask an allocator for and what they get, by the library of sizes.c in $work/sizes.so.
# SPDX-License-Identifier: Apache-2.0

compile_sizes() {
  [ "$work/sizes.so" -nt "$benchmarks/sizes.c" ] ||
    gcc -std=gnu11 -O2 -Wall -Wextra -fno-builtin -shared -fPIC "$benchmarks/sizes.c" -o "$work/sizes.so"
}

# The file of four words that sizes.so adds to, and which all users may write.
clear_sizes() {
  rm -f "$1"
  truncate --size 32 "$1"
  chmod 666 "$1"
}

# read_sizes FILE: prints the requests, what of their blocks was not asked for, that of the worst block, both in percent, and what was
# asked for there.
read_sizes() {
  local requests requested usable worst
  read -r requests requested usable worst < <(od -An -v -w32 -t u8 "$1")
  awk "BEGIN { printf \"%d %.2f %.2f %d\n\",
    $requests, ($usable - $requested) * 100 / ($usable ? $usable : 1), $((worst >> 44)) / 100, $((worst & ((1 << 44) - 1))) }"
}
