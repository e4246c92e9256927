# shellcheck shell=bash
# g++ compiling a file with much of the standard library and many templates.
# SPDX-License-Identifier: Apache-2.0

compile=(g++ -std=c++20 -O1 -c "$BENCHMARKS/programs/gcc/heavy.cpp")

prepare() { "${compile[@]}" -o expected.o; }

run() {
  measured "${compile[@]}" -o output.o
  cmp expected.o output.o
}
