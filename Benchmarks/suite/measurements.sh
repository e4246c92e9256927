# shellcheck shell=bash
# The parts of the suite: each runs programs and writes lines to $results, whose first word says what they are.
# SPDX-License-Identifier: Apache-2.0

running=
limit=900

record() { (IFS=$'\t' && echo "$*") >>"$results"; }

# within_limit COMMAND…: for so many seconds at most. It runs in the background, so that this shell still obeys signals.
within_limit() {
  timeout --kill-after=10 "$limit" "$@" &
  running=$!
  local status=0
  wait "$running" || status=$?
  running=
  return $status
}

stop_running() {
  if [ "$running" ] && kill "$running" 2>/dev/null; then wait "$running" || true; fi
}

how_it_ended() {
  case $1 in
    124) echo "still running after $limit s" ;;
    1[3-5]?) echo "killed by SIG$(kill -l "$1")" ;;
    *) echo "exit code $1" ;;
  esac
}

show_progress() { [ ! -t 2 ] || printf '\r\033[K%s' "$1" >&2; }
clear_progress() { show_progress ''; }

# begin_progress STEPS, then step NAME before each of them.
begin_progress() {
  steps=$1 steps_done=0 steps_began=$SECONDS
}

step() {
  local left=
  [ "$steps_done" = 0 ] || left=", $((((SECONDS - steps_began) * (steps - steps_done) / steps_done + 59) / 60)) min left"
  show_progress "$1 ($((steps_done + 1)) of $steps$left)"
  steps_done=$((steps_done + 1))
}

is_wanted() { [ -z "$only" ] || [[ " $only " == *" $1 "* ]]; }

# interleaved FUNCTION NAME…: each round calls the function for each name with each allocator. So whatever else the machine does hits all
# allocators alike; and each round another one begins.
interleaved() {
  local function=$1 round name turn offset=0
  shift
  begin_progress $((rounds * $# * ${#allocators[@]}))
  for ((round = 1; round <= rounds; round++)); do
    for name in "$@"; do
      for ((turn = 0; turn < ${#allocators[@]}; turn++)); do
        local allocator=${allocators[(turn + offset) % ${#allocators[@]}]}
        step "round $round: $name on $allocator"
        "$function" "$name" "$allocator" "$round"
        measured=1
      done
      offset=$((offset + 1))
    done
    offset=$((offset + 1))
  done
}

failed() { record failed "$1" "$2" "$3" "$4" "$(tr '\t\n' '  ' <<<"$5" | cut -c 1-300)"; }

# Real programs

measure_programs() {
  prepare_programs
  interleaved run_program "${prepared[@]}"
}

# prepare_programs: those wanted are then in $prepared.
prepare_programs() {
  local name
  prepared=()
  for name in $(program_names); do
    is_wanted "$name" || continue
    show_progress "preparing $name"
    if QUICK=$quick within_limit "$benchmarks/program" prepare "$name" 2>"$work/errors"; then
      prepared+=("$name")
    else
      clear_progress
      echo "$(tail -n 1 "$work/errors") It is left out." >&2
    fi
  done
}

# start_program NAME ALLOCATOR: leaves its line in $work/figures.
start_program() {
  QUICK=$quick MEASURE_ENV=${variables[$2]} within_limit \
    "$benchmarks/program" run "$1" "${library[$2]}" >"$work/figures" 2>"$work/errors"
}

run_program() {
  local name=$1 allocator=$2 round=$3 status=0
  start_program "$name" "$allocator" || status=$?
  if [ $status = 0 ]; then
    # shellcheck disable=SC2046 # three words
    record run programs "$name" "$allocator" "$round" $(cat "$work/figures")
  else
    failed programs "$name" "$allocator" "$round" "$(how_it_ended $status): $(tail -n 1 "$work/errors")"
  fi
}

# Synthetic loads

measure_synthetic() {
  local names
  mapfile -t names < <(wanted_synthetic)
  interleaved run_synthetic "${names[@]}"
}

wanted_synthetic() {
  local name
  for name in $(synthetic_names); do
    if is_wanted "$name"; then echo "$name"; fi
  done
}

# start_synthetic NAME ALLOCATOR SCALE [THREADS]: leaves measure's line in $work/figures.
start_synthetic() {
  local program threads arguments
  read -r _ program threads _ arguments < <(synthetic_benchmarks | grep "^$1 ")
  rm -f "$work/figures"
  # shellcheck disable=SC2086 # several arguments
  MEASURE_ENV=${variables[$2]} within_limit "$work/measure" "$work/figures" "${library[$2]}" \
    "$work/synthetic/$program" "$3" "${4:-$threads}" $arguments >"$work/output" 2>"$work/errors"
}

run_synthetic() {
  local name=$1 allocator=$2 round=$3 status=0
  start_synthetic "$name" "$allocator" "$scale" || status=$?
  if [ $status = 0 ]; then
    # shellcheck disable=SC2046 # three words
    record run synthetic "$name" "$allocator" "$round" $(awk '{ print $1, $2 + $3, $4 }' "$work/figures")
    sed -n 's/^score //p' "$work/output" | while read -r what value; do record score "$name" "$what" "$allocator" "$round" "$value"; done
  else
    failed synthetic "$name" "$allocator" "$round" "$(how_it_ended $status): $(tail -n 1 "$work/errors")"
  fi
}

# Scaling: the same work per thread, by one thread and by two.

measure_scaling() {
  local allocator name names=()
  for allocator in "${allocators[@]}"; do
    library["pinned $allocator"]=${library[$allocator]}
    variables["pinned $allocator"]="PIN_THREADS=1 ${variables[$allocator]}"
  done
  for name in $(synthetic_benchmarks | awk '$4 == "scales" { print $1 }'); do
    if is_wanted "$name"; then names+=("$name"); fi
  done
  interleaved run_scaling "${names[@]}"
}

run_scaling() {
  local name=$1 allocator=$2 round=$3 threads status=0 wall=()
  for threads in 1 2; do
    start_synthetic "$name" "pinned $allocator" "$(awk "BEGIN { print $scale / 2 }")" $threads || status=$?
    if [ $status != 0 ]; then
      failed scaling "$name" "$allocator" "$round" "$(how_it_ended $status): $(tail -n 1 "$work/errors")"
      return
    fi
    wall+=("$(cut -d ' ' -f 1 "$work/figures")")
  done
  record scaling "$name" "$allocator" "$round" "${wall[@]}"
}

# Instructions, counted by callgrind, which leaves malloc as it is. The difference of two counts of pairs takes away what starting costs.

measure_instructions() {
  local kind allocator few many
  begin_progress $((6 * ${#allocators[@]}))
  for kind in 16 1024 8192 65536 random calloc; do
    for allocator in "${allocators[@]}"; do
      step "instructions: $kind on $allocator"
      few=$(count_instructions "$allocator" "$kind" 10000) && many=$(count_instructions "$allocator" "$kind" 110000) || {
        failed instructions "$kind" "$allocator" 1 "callgrind counted nothing"
        continue
      }
      record instructions "$kind" "$allocator" "$(awk "BEGIN { printf \"%.1f\", ($many - $few) / 100000 }")"
      measured=1
    done
  done
}

count_instructions() {
  timeout "$limit" env ${variables[$1]:+"${variables[$1]}"} LD_PRELOAD="${library[$1]}" \
    valgrind --tool=callgrind --callgrind-out-file=/dev/null "$work/tables/pairs" "$2" "$3" 2>&1 |
    awk '/Collected/ { count = $NF } END { print count; exit !count }'
}

# What is given back, and what an idle process has

measure_give_back() {
  local kind allocator which
  begin_progress $((2 * ${#allocators[@]}))
  for kind in scattered runs; do
    for allocator in "${allocators[@]}"; do
      step "give-back: $kind on $allocator"
      MEASURE_ENV=${variables[$allocator]} within_limit "$work/measure" /dev/null "${library[$allocator]}" \
        "$work/tables/give-back" "$kind" "$(pick_share)" >"$work/output" 2>"$work/errors" || {
        failed give-back "$kind" "$allocator" 1 "$(tail -n 1 "$work/errors")"
        continue
      }
      while read -r which value; do record give-back "$kind" "$which" "$allocator" "$value"; done <"$work/output"
      measured=1
    done
  done
}

pick_share() { if [ "$quick" = 1 ]; then echo 0.25; else echo 1; fi; }

measure_idle() { interleaved run_idle idle; }

run_idle() {
  if MEASURE_ENV=${variables[$2]} "$work/measure" /dev/null "${library[$2]}" "$work/tables/smallest" >"$work/output"; then
    record idle "$2" "$3" "$(cut -d ' ' -f 1 "$work/output")"
  else
    failed idle idle "$2" "$3" "it does not run"
  fi
}

# Internal fragmentation. Its figures are shares, for which little work will do.

measure_internal() {
  local allocator names quick=1 scale=0.1 rounds=1
  for allocator in "${allocators[@]}"; do
    # Without a library it is glibc's, whatever a program is linked to.
    library["counted $allocator"]=$work/sizes.so:${library[$allocator]:-libc.so.6}
    variables["counted $allocator"]="SIZES=$work/sizes ${variables[$allocator]}"
  done
  prepare_programs
  interleaved count_program "${prepared[@]}"
  mapfile -t names < <(wanted_synthetic)
  interleaved count_synthetic "${names[@]}"
}

count_program() { count_sizes programs "$1" "$2" start_program "$1" "counted $2"; }
count_synthetic() { count_sizes synthetic "$1" "$2" start_synthetic "$1" "counted $2" "$scale"; }

# count_sizes PART NAME ALLOCATOR COMMAND…: what the command's program asks for, and what it gets.
count_sizes() {
  local part=$1 name=$2 allocator=$3 status=0 counts
  shift 3
  clear_sizes "$work/sizes"
  "$@" || status=$?
  read -ra counts < <(read_sizes "$work/sizes")
  if [ $status != 0 ]; then
    failed internal "$name" "$allocator" 1 "$(how_it_ended $status): $(tail -n 1 "$work/errors")"
  elif [ "${counts[0]}" = 0 ]; then
    failed internal "$name" "$allocator" 1 "nothing was counted"
  else
    record internal "$part" "$name" "$allocator" "${counts[1]}" "${counts[2]}"
  fi
}
