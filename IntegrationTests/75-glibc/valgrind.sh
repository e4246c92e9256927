# shellcheck shell=bash
# Sourced by run: the programs of Valgrind's own tests, whose sources are fetched, built here and kept nowhere. What memcheck
# calls lost when a program ends is what the search must find in the program when it waits there: never more, and less only where
# a stale word on the stack or in a register still leads to a block, which then is a matter of chance and must be rare.
# SPDX-License-Identifier: Apache-2.0

# fetch_valgrind: the sources, by Debian's package tools, with lists of their own.
fetch_valgrind() {
  local suite mirror
  suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
  # shellcheck disable=SC2016 # for apt-get
  mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' "Codename: $suite" | head -n 1)
  [ -n "$mirror" ] || { echo 'apt knows no mirror, run apt-get update'; return 1; }
  mkdir -p apt/lists/partial apt/cache/archives/partial
  echo "deb-src [trusted=yes] $mirror $suite main" >apt/sources.list
  local options=(-o "Dir::Etc::sourcelist=$work/apt/sources.list" -o Dir::Etc::sourceparts=/dev/null
    -o "Dir::State::Lists=$work/apt/lists" -o "Dir::Cache=$work/apt/cache" -o APT::Sandbox::User=root)
  apt-get "${options[@]}" update && apt-get "${options[@]}" source --download-only valgrind && tar xf valgrind_*.orig.tar.*
}

# compare_with_memcheck NAME: one program. Prints nothing where it can't be compared.
compare_with_memcheck() {
  local program=programs/$1 lost found
  timeout 20 valgrind --tool=memcheck --leak-check=full --show-leak-kinds=none --errors-for-leak-kinds=none --run-libc-freeres=no --run-cxx-freeres=no \
    --log-file=valgrind.log "$program" >/dev/null 2>&1 </dev/null
  # The last summary is that of the program's end: memcheck prints one at each check that the program asks for.
  lost=$(tr -d , <valgrind.log | awk '/definitely lost:/ { d = $7 } /indirectly lost:/ { i = $7; n = 1 } /possibly lost:/ { p = $7 }
    /All heap blocks were freed/ { d = i = p = 0; n = 1 } END { if (n) print d + i, p + 0 }')
  [ -n "$lost" ] || return
  # The program says its process id when it has come to its end; `ended` where it never waits.
  { (PAUSED=$work/paused LD_PRELOAD=$work/pause.so timeout 60 "$program" </dev/null; echo ended >paused) >/dev/null 2>&1 & } 2>/dev/null
  read -r -t 60 pid <&3
  [[ $pid =~ ^[0-9]+$ ]] || return
  if "${plain[@]}" "$mallow" leaks --format json --output report.json "$pid" 2>err.log; then
    found=$(python3 -c 'import json; print(json.load(open("report.json"))["leaks"]["blocks"])')
  else
    found=$(head -n 1 err.log)
  fi
  kill "$pid"
  read -r -t 60 pid <&3
  # One of them has a malloc of its own.
  [[ $found == *"runs on the allocator in"* ]] && return
  compared=$((compared + 1))
  local definite=${lost% *} possible=${lost#* }
  if ! [[ $found =~ ^[0-9]+$ ]] || [ "$found" -gt $((definite + possible)) ]; then
    fail "like memcheck: $1" "found $found, memcheck $definite and $possible possibly"
    return
  fi
  ok "like memcheck: $1, $found of $definite blocks"
  [ "$definite" = 0 ] && return
  losing=$((losing + 1))
  [ "$found" -ge "$definite" ] && agreed=$((agreed + 1))
}

if ! fetch_valgrind >fetch.log 2>&1; then
  skip "Valgrind's tests" "$(tail -n 1 fetch.log)"
else
  gcc -shared -fPIC -O1 "$topic/pause.c" -o pause.so
  mkdir -p programs
  mkfifo paused
  exec 3<>paused
  sources=(valgrind-*/memcheck/tests)
  root=${sources[0]%/memcheck/tests}
  compared=0 losing=0 agreed=0
  for source in "${sources[0]}"/*.c; do
    name=$(basename "$source" .c)
    gcc -w -g -O0 -fno-builtin "-I$root" "-I$root/include" "-I$root/memcheck" "$source" -o "programs/$name" -pthread -lm >/dev/null 2>&1 || continue
    compare_with_memcheck "$name"
  done
  if [ "$compared" -ge 20 ]; then ok "$compared programs were compared"; else fail 'at least 20 programs' "only $compared were compared"; fi
  # What is left on the stack and in registers hides some from us that memcheck, which looks later, sees.
  if [ $((agreed * 2)) -gt "$losing" ]; then
    ok "$agreed of the $losing programs that lose blocks lose as many by both"
  else
    fail 'most programs that lose blocks lose as many by both' "$agreed of $losing do"
  fi
  # Those that never came to their end.
  jobs -p | xargs -r kill 2>/dev/null
fi
