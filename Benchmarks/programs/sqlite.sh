# shellcheck shell=bash
# SQLite in memory: inserts, indexes, joins, grouping, string functions and JSON.
# SPDX-License-Identifier: Apache-2.0

program=(sqlite3 -batch -init /dev/null :memory:
  ".param set :rows $(pick 30000 300000)" ".read $BENCHMARKS/programs/sqlite/work.sql")

prepare() { "${program[@]}" >expected; }

run() {
  measured "${program[@]}" >output
  cmp expected output
}
