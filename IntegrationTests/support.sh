# shellcheck shell=bash
# Shared by all topics: counting checks, running programs on the library, servers, and cleaning up.
# SPDX-License-Identifier: Apache-2.0

set -u -o pipefail
ulimit -Sc 0
export LC_ALL=C

tests=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck disable=SC2034 # for the scripts
topic=$(cd "$(dirname "$0")" && pwd)
repository=$(dirname "$tests")
# shellcheck source=../scripts/servers.sh
source "$repository/scripts/servers.sh"
quick=0
[ "${1:-}" = --quick ] && quick=1

MALLOW_LIBRARY=${MALLOW_LIBRARY:-$repository/.build/release/libmallow.so}
if ! [ -r "$MALLOW_LIBRARY" ]; then
  echo "There is no $MALLOW_LIBRARY: build it with 'swift build -c release' or name one by MALLOW_LIBRARY." >&2
  exit 2
fi

passed=0
failed=0
servers=()
work=$(mktemp -d "${TMPDIR:-/tmp}/mallow-integration.XXXXXX")
chmod 755 "$work"

clean_up() {
  stop_servers
  rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

# A copy, so that other users can read it too, and a build that runs meanwhile does not change it.
library=$work/libmallow.so
install -m 755 "$MALLOW_LIBRARY" "$library"
cd "$work" || exit 2

# The first of two values in a quick run, the second in a full one.
pick() { if [ "$quick" = 1 ]; then echo "$1"; else echo "$2"; fi; }

ok() { passed=$((passed + 1)); echo "ok   $1"; }
fail() { failed=$((failed + 1)); echo "FAIL $1: $2"; }
skip() { echo "skip $1: $2"; }

finish() {
  echo "$passed passed, $failed failed"
  [ "$failed" = 0 ]
  exit
}

# "${plain[@]}" COMMAND… and "${on_mallow[@]}" COMMAND… run a program without and with the library, for so many seconds at most.
set_limit() {
  limit=$1
  plain=(timeout --kill-after=5 "$limit")
  on_mallow=("${plain[@]}" env "LD_PRELOAD=$library")
}
set_limit 120

# Runs a command with its output in a file, without the shell's own words on how it died.
quietly() {
  local output=$1
  shift
  { "$@" >"$output" 2>&1; } 2>/dev/null
}

how_it_ended() {
  case $1 in
    124 | 137) echo "still running after $limit s" ;;
    129 | 1[3-5]?) echo "killed by SIG$(kill -l "$1")" ;;
    *) echo "exit code $1" ;;
  esac
}

# check NAME COMMAND…: passes where the command succeeds. The end of its output is the reason where it does not.
check() {
  local name=$1 status=0
  shift
  quietly "$work/check.log" "$@" || status=$?
  if [ "$status" = 0 ]; then
    ok "$name"
  else
    fail "$name" "$(how_it_ended "$status"): $(tail -n 3 "$work/check.log" | cut -c 1-300 | tr '\n' ' ')"
  fi
  return "$status"
}

# same NAME EXPECTED ACTUAL: passes where two files are equal and not empty.
same() {
  if ! [ -s "$2" ]; then
    fail "$1" "the run without the library gave no output"
  elif cmp -s "$2" "$3"; then
    ok "$1"
  else
    fail "$1" "output differs: $(diff "$2" "$3" | head -n 3 | cut -c 1-200 | tr '\n' ' ')"
  fi
}

# same_output NAME COMMAND…: runs a command without and with the library; both must succeed and print the same.
same_output() {
  local name=$1 status=0
  shift
  if ! quietly "$work/expected" "${plain[@]}" "$@"; then
    fail "$name" "does not run without the library: $(tail -n 1 "$work/expected")"
    return
  fi
  quietly "$work/actual" "${on_mallow[@]}" "$@" || status=$?
  if [ "$status" != 0 ]; then
    fail "$name" "$(how_it_ended "$status"): $(tail -n 2 "$work/actual" | tr '\n' ' ')"
    return
  fi
  same "$name" "$work/expected" "$work/actual"
}

# compile SOURCE [OPTION…]: builds a test program into the work folder, named like its source without the suffix. Builtin
# knowledge of malloc is off, or the compiler would drop the very calls under test, and so are its warnings of misuse.
compile() {
  local source=$1 name=${1##*/}
  shift
  local compiler=(gcc -std=gnu11)
  case $source in *.cpp) compiler=(g++ -std=c++17) ;; esac
  "${compiler[@]}" -O1 -g -fno-builtin -fno-allocation-dce -Wall -Wextra -Wno-alloc-size-larger-than -Wno-use-after-free -Wno-unused-result \
    -I"$tests" "$source" -o "$work/${name%.*}" -pthread "$@" && return
  echo "$source does not compile" >&2
  exit 2
}

# run_cases PROGRAM [WRAPPER…]: a check for each case that a program made with cases.h lists, each in a process of its own.
run_cases() {
  local program=$work/$1 name title
  shift
  while IFS=$'\t' read -r name title; do
    local status=0
    quietly "$work/case.log" "${on_mallow[@]}" "$@" "$program" "$name" || status=$?
    case $status in
      0) ok "$title" ;;
      77) skip "$title" "$(tail -n 1 "$work/case.log")" ;;
      *) fail "$title" "$(how_it_ended "$status"): $(tail -n 2 "$work/case.log" | cut -c 1-300 | tr '\n' ' ')" ;;
    esac
  done < <("$program")
}

# compare NAME FUNCTION: calls a function of the script twice, where "${run[@]}" COMMAND… runs programs first without and then with
# the library. It must succeed both times, and print the same. $way, which is plain or mallow, tells its files apart.
# shellcheck disable=SC2034 # run is for the function
compare() {
  local name=$1 status
  for way in plain mallow; do
    if [ $way = plain ]; then run=("${plain[@]}"); else run=("${on_mallow[@]}"); fi
    status=0
    "$2" >"$work/$way.out" 2>"$work/$way.log" || status=$?
    stop_servers
    if [ $status != 0 ]; then
      fail "$name" "$way: $(how_it_ended $status): $(tail -n 3 "$work/$way.log" | cut -c 1-300 | tr '\n' ' ')"
      return
    fi
  done
  same "$name" "$work/plain.out" "$work/mallow.out"
}

# serve COMMAND…: starts a server; its process id is then in $server. It ends with this script at the latest.
serve() {
  "$@" >&2 &
  server=$!
  servers+=("$server")
}

# stop: ends the last server by SIGTERM. Fails where that is not how it ends.
stop() {
  kill "$server" && wait "$server"
  local status=$?
  server=
  unset 'servers[-1]'
  [ $status = 0 ] || echo "the server did not end well: $(how_it_ended $status)" >&2
  return $status
}

stop_servers() {
  local pid
  for pid in "${servers[@]}"; do kill "$pid" 2>/dev/null && wait "$pid" 2>/dev/null; done
  server=
  servers=()
}

# is_on_library PROCESS-ID: whether a process, or its child where it is a wrapper, has the library mapped. Without it in a run that
# should be on it, everything would pass and prove nothing.
is_on_library() {
  grep -qs "$library" "/proc/$1/maps" || grep -qs "$library" "/proc/$(pgrep -P "$1" | head -n 1)/maps"
}

# serves_as_wanted: the last server runs on the library just where it should.
serves_as_wanted() {
  if [ "$way" = plain ]; then ! is_on_library "$server"; else is_on_library "$server"; fi
}
