# shellcheck shell=bash
# Python with every object on malloc: classes, dictionaries, strings, JSON and sorting.
# SPDX-License-Identifier: Apache-2.0

program=(env PYTHONMALLOC=malloc PYTHONHASHSEED=0
  /usr/bin/python3 "$BENCHMARKS/programs/python/work.py" "$(pick 6000 60000)")

prepare() { "${program[@]}" >expected; }

run() {
  measured "${program[@]}" >output
  cmp expected output
}
