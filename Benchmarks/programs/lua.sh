# shellcheck shell=bash
# Lua: trees, strings and closures of all ages under its collector.
# SPDX-License-Identifier: Apache-2.0

program=(lua5.4 "$BENCHMARKS/programs/lua/work.lua" "$(pick 1 3)")

prepare() { "${program[@]}" >expected; }

run() {
  measured "${program[@]}" >output
  cmp expected output
}
