# shellcheck shell=bash
# Damaged files, processes that change or end while they are looked at, and those that may not be looked at.
# SPDX-License-Identifier: Apache-2.0

check 'damaged ELF files' python3 "$topic/damage.py" "$mallow" "$(pick 60 400)" ./maps library-i386.so library-aarch64.so library.o
check 'processes that end meanwhile' python3 "$topic/ending.py" "$mallow" ./maps "$(pick 20 100)"

gcc -O1 "$repository/Benchmarks/tables/hold-up.c" -o hold-up
./hold-up >hold-up.log &
server=$!
servers+=("$server")
changing() {
  local round
  for ((round = 0; round < $(pick 20 100); round++)); do
    timeout 20 "$mallow" layout --format json "$server" >changing.json || return
    python3 -c 'import json; regions = json.load(open("changing.json"))["regions"]; assert len(regions) > 20' || return
  done
}
check 'mappings that change meanwhile' changing
stop_servers

# refused NAME PATTERN COMMAND…: exit code 2 and one line that says why.
refused() {
  local name=$1 pattern=$2 status=0
  shift 2
  timeout 20 "$@" >refused.out 2>refused.log || status=$?
  if [ "$status" = 2 ] && [ "$(wc -l <refused.log)" = 1 ] && grep -q -- "$pattern" refused.log && ! [ -s refused.out ]; then
    ok "$name"
  else
    fail "$name" "exit code $status: $(head -n 3 refused.log)"
  fi
}

refused 'a process that does not exist' 'no process' "$mallow" layout 4194000
refused 'a file that does not exist' 'nowhere' "$mallow" layout ./nowhere
refused 'a text' 'neither an ELF file nor a core' "$mallow" layout "$topic/run"
refused 'a folder' directory "$mallow" layout "$topic"
refused 'a device' 'ordinary file' "$mallow" layout /dev/zero
if [ "$(id -u)" = 0 ]; then
  refused 'a kernel thread' 'kernel thread' "$mallow" layout "$(pgrep -x kthreadd)"
  install -m 755 "$mallow" mallow-copy
  refused "another user's process" 'root or with CAP_SYS_PTRACE' \
    setpriv --reuid nobody --clear-groups --inh-caps=-all ./mallow-copy layout $$
  # Without the right to trace it a user still sees the mappings of a process of his own.
  setpriv --reuid nobody --clear-groups --inh-caps=-all sleep 600 &
  server=$!
  servers+=("$server")
  wait_until 5 grep -q sleep "/proc/$server/comm"
  check "a user's own process" setpriv --reuid nobody --clear-groups --inh-caps=-all ./mallow-copy layout "$server"
  stop_servers
fi
