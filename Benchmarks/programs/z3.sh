# shellcheck shell=bash
# z3 deciding polynomial equations and inequalities over the reals, with many small terms and large numbers.
# SPDX-License-Identifier: Apache-2.0

program=(z3 "$BENCHMARKS/programs/z3/problems.smt2")

prepare() { "${program[@]}" >expected; }

run() {
  measured "${program[@]}" >output
  cmp expected output
}
