# shellcheck shell=bash
# The search for leaks, compared with LeakSanitizer and with Valgrind's memcheck: heaps of linked nodes, each built once and searched in
# every round. First use of memory is slow on some machines, and no part of what is compared.
# SPDX-License-Identifier: Apache-2.0

measure_leaks() {
  local size mib=1024 small=64
  [ "$quick" = 0 ] || mib=128 small=16
  set_up_leaks || return 0
  begin_progress $((4 * (rounds * 4 + 1)))
  for size in 64 256 1024; do search_heap "$size bytes" lists "$size" "$mib" "$small"; done
  # Ten million nodes.
  search_heap lost lost 64 $((mib * 611 / 1024)) "$small"
}

# The command, and the heap for LeakSanitizer.
set_up_leaks() {
  [ "${library[mallow]:-}" ] || find_allocator mallow
  local command=${MALLOW_COMMAND:-$benchmarks/../.build/release/mallow}
  if [ -z "${MALLOW_COMMAND:-}" ]; then
    show_progress "building the mallow command"
    swift build -c release --package-path "$benchmarks/.." --product mallow >"$work/mallow.log" 2>&1 || {
      tail -n 20 "$work/mallow.log" >&2
      return 1
    }
  fi
  install -m 755 "$command" "$work/mallow"
  gcc -std=gnu11 -O2 -fsanitize=leak "$benchmarks/tables/leaks.c" -o "$work/tables/leaks-lsan" -pthread
}

# search_heap ROW SHAPE NODE_BYTES MIB SMALL_MIB: all tools one after the other in each round. Valgrind gets a small heap, since
# filling a large one takes minutes under it.
search_heap() {
  local row=$1 round tool
  shift
  step "$row: building heaps"
  start_heap mallow env LD_PRELOAD="${library[mallow]}" "$work/tables/leaks" "$1" "$2" "$3" &&
    start_heap glibc env "$work/tables/leaks" "$1" "$2" "$3" &&
    start_heap lsan env LSAN_OPTIONS=max_leaks=1 "$work/tables/leaks-lsan" "$1" "$2" "$3" &&
    start_heap valgrind valgrind -q --undef-value-errors=no "$work/tables/leaks" "$1" "$2" "$4" || {
    failed leaks "$row" heap 1 "$(tail -qn 1 "$work"/heap-*.log)"
    stop_heaps
    return
  }
  for ((round = 1; round <= rounds; round++)); do
    for tool in mallow glibc lsan valgrind; do
      step "round $round: $row, $tool"
      case $tool in
        mallow | glibc) search_from_outside "mallow-on $tool" "$row" "$tool" "$3" ;;
        lsan) search_from_inside Leak-Sanitizer "$row" lsan "$3" ;;
        valgrind) search_from_inside Valgrind "$row" valgrind "$4" ;;
      esac || failed leaks "$row" "$tool" "$round" "$(tail -n 1 "$work/errors")"
      measured=1
    done
  done
  stop_heaps
}

declare -A heap_input heap_output heap_process

# start_heap NAME COMMAND…: with pipes to and from it.
start_heap() {
  local name=$1 input output
  shift
  rm -f "$work/heap.in" "$work/heap.out"
  mkfifo "$work/heap.in" "$work/heap.out"
  "$@" <"$work/heap.in" >"$work/heap.out" 2>"$work/heap-$name.log" &
  exec {input}>"$work/heap.in" {output}<"$work/heap.out"
  heap_input[$name]=$input heap_output[$name]=$output
  read -r -t "$limit" _ "heap_process[$name]" <&"$output"
}

# They end with their input.
stop_heaps() {
  local descriptor
  for descriptor in "${heap_input[@]}" "${heap_output[@]}"; do exec {descriptor}>&-; done
  heap_input=() heap_output=() heap_process=()
  wait
}

# search_from_outside COLUMN ROW HEAP MIB: by mallow leaks.
search_from_outside() {
  local wall user system peak pause
  rm -f "$work/figures"
  within_limit "$work/measure" "$work/figures" '' \
    "$work/mallow" leaks "${heap_process[$3]}" --format json >"$work/output" 2>"$work/errors" || return
  read -r wall user system peak _ <"$work/figures"
  pause=$(python3 -c 'import json, sys; print(json.load(sys.stdin)["pause"]["milliseconds"])' <"$work/output") || return
  record_search "$1" "$2" "$4" "$wall" "$(awk "BEGIN { print $user + $system }")" "$pause"
  record leaks memory "$2" "$1" "$(awk "BEGIN { print $peak / 1048576 / ($4 / 1024) }")"
}

# search_from_inside COLUMN ROW HEAP MIB: by the program itself, which stands still all the while.
search_from_inside() {
  local cpu wall
  echo >&"${heap_input[$3]}"
  read -r -t "$limit" cpu wall _ <&"${heap_output[$3]}" || return
  record_search "$1" "$2" "$4" "$wall" "$cpu" "$(awk "BEGIN { print $wall * 1000 }")"
}

# record_search COLUMN ROW MIB WALL CPU PAUSE
record_search() {
  record leaks speed "$2" "$1" "$(awk "BEGIN { print $3 / 1024 / ($5 ? $5 : 0.001) }")"
  record leaks pause "$2" "$1" "$6"
  record leaks wall "$2" "$1" "$4"
}
