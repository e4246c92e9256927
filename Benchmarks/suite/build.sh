# shellcheck shell=bash
# Builds what the suite runs, into $work. Sets: report.
# SPDX-License-Identifier: Apache-2.0

# The lines of synthetic/benchmarks: name, program, threads, scaling, arguments.
synthetic_benchmarks() { grep -v '^#' "$benchmarks/synthetic/benchmarks"; }

# compile SOURCE PROGRAM: the compiler's knowledge of malloc is off, or it would drop calls that are to be measured.
compile() {
  local compiler=(gcc -std=gnu11)
  case $1 in *.cpp) compiler=(g++ -std=c++17) ;; esac
  mkdir -p "$(dirname "$2")"
  "${compiler[@]}" -O2 -Wall -Wextra -fno-builtin-{malloc,calloc,realloc,free} "$1" -o "$2" -pthread
}

compile_programs() {
  local source name
  for source in "$benchmarks"/{synthetic,tables}/*.{c,cpp}; do
    [ -r "$source" ] || continue
    name=$(basename "$(dirname "$source")")/$(basename "${source%.*}")
    compile "$source" "$work/$name" || return
  done
}

# Only where it is older than its source: it may be running.
compile_measure() { [ "$work/measure" -nt "$benchmarks/measure.c" ] || gcc -O2 -static "$benchmarks/measure.c" -o "$work/measure"; }

compile_report() {
  swift build -c release --package-path "$benchmarks" --scratch-path "$work/report" >"$work/report.log" 2>&1 || {
    tail -n 20 "$work/report.log" >&2
    echo "Benchmarks' report does not build." >&2
    return 1
  }
  # shellcheck disable=SC2034 # for run
  report=$work/report/release/report
}

build_tools() {
  compile_measure
  compile_sizes
  compile_programs
  compile_report
}
