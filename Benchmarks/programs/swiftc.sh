# shellcheck shell=bash
# swiftc compiling a module of several files with generics, protocols and closures, optimised as a whole.
# SPDX-License-Identifier: Apache-2.0

# The object file holds its own name, which so must stay the same.
compile=(swiftc "$(pick -Onone -O)" -wmo -swift-version 6 -parse-as-library -module-name Shapes
  -c "$BENCHMARKS"/programs/swiftc/*.swift -o output.o)

prepare() {
  "${compile[@]}"
  mv output.o expected.o
}

run() {
  measured "${compile[@]}"
  cmp expected.o output.o
}
