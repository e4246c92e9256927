# shellcheck shell=bash
# Programs of every kind to be looked at while they run: start_NAME [WRAPPER…] starts one in the work folder, waits until it is ready and
# leaves the process id in $pid. stop_servers ends them. support.sh comes first.
# SPDX-License-Identifier: Apache-2.0

# serve_ready COMMAND…: as serve, for a program that says "ready" on its standard output.
serve_ready() {
  serve "$@" 2>"$work/ready"
  pid=$server
  wait_until 60 grep -q ready "$work/ready"
}

start_redis() {
  serve "$@" redis-server --port 0 --unixsocket "$work/redis.sock" --dir "$work" --save '' >"$work/redis.log" 2>&1
  pid=$server
  wait_until 20 redis-cli -s "$work/redis.sock" PING || return
  redis-benchmark -s "$work/redis.sock" -q -n 20000 -P 16 -d 100 -r 10000 -t set,lpush,hset >/dev/null
}

# A backend that has sorted, not the postmaster.
start_postgresql() {
  local bin data=$work/postgresql
  bin=$(printf "%s\n" /usr/lib/postgresql/*/bin | tail -n 1)
  become postgres
  rm -rf "$data"
  install -d -o "$("${as[@]}" id -un)" -m 700 "$data" "$data/socket"
  "${as[@]}" "$bin/initdb" -D "$data/cluster" -U postgres --auth trust --no-sync >"$work/initdb.log" 2>&1 || return
  serve "${as[@]}" "$@" "$bin/postgres" -D "$data/cluster" -c listen_addresses= -k "$data/socket" -c fsync=off >"$work/postgresql.log" 2>&1
  wait_until 20 "$bin/pg_isready" -h "$data/socket" || return
  # The client waits for more to come by the pipe.
  mkfifo "$data/queries"
  serve "${as[@]}" "$bin/psql" -h "$data/socket" -U postgres -XAtq -f "$data/queries" >"$work/psql.log" 2>&1
  exec 8>"$data/queries"
  echo "CREATE TEMP TABLE t AS SELECT i, md5(i::text) FROM generate_series(1, 50000) i;
    SELECT count(*) FROM (SELECT * FROM t ORDER BY 2 OFFSET 0) s; SELECT 'sorted';" >&8
  wait_until 30 grep -q sorted "$work/psql.log" && wait_until 10 pgrep -f 'postgres: postgres postgres .*idle' || return
  pid=$(pgrep -f 'postgres: postgres postgres .*idle' | head -n 1)
  # The server ends when its clients are gone, so they come first.
  servers=("${servers[-1]}" "${servers[@]::${#servers[@]}-1}")
}

# A worker that has served some requests.
start_nginx() {
  local port
  port=$(free_port)
  mkdir -p "$work/nginx"
  head -c 100000 /dev/urandom >"$work/nginx/file"
  chmod -R a+rX "$work"
  cat >"$work/nginx/settings" <<END
worker_processes 1;
error_log $work/nginx/error.log;
pid $work/nginx/pid;
events { worker_connections 256; }
http { access_log off; gzip on; gzip_types text/plain; default_type text/plain; server { listen 127.0.0.1:$port; root $work/nginx; } }
END
  serve "$@" /usr/sbin/nginx -e "$work/nginx/error.log" -c "$work/nginx/settings" -g 'daemon off;' >"$work/nginx.log" 2>&1
  wait_until 10 curl -sf --compressed -o /dev/null "http://127.0.0.1:$port/file" || return
  pid=$(pgrep -P "$server" | head -n 1)
}

start_python() {
  cat >"$work/target.py" <<'END'
import json, re, sys, threading
data = [{"number": i, "text": "x" * (i % 200)} for i in range(50000)]
text = json.dumps(data)
del data[::2]
waiting = threading.Event()
for _ in range(3):
    threading.Thread(target=waiting.wait, daemon=True).start()
print("ready", flush=True)
waiting.wait()
END
  serve_ready "$@" python3 "$work/target.py"
}

start_swift() {
  if ! [ -x "$work/swift_target" ]; then
    cat >"$work/swift_target.swift" <<'END'
import Dispatch
import Foundation
final class Session { var handlers: [() -> Void] = []; let name: String; init(_ name: String) { self.name = name } }
var sessions: [String: Session] = [:]
for i in 0..<5000 { let session = Session("session \(i) with a long name"); session.handlers.append { print(i) }; sessions[session.name] = session }
DispatchQueue.concurrentPerform(iterations: 4) { _ in _ = (0..<1000).map { String($0) }.joined() }
print("ready"); fflush(stdout)
dispatchMain()
END
    swiftc -O "$work/swift_target.swift" -o "$work/swift_target" >&2 || return
  fi
  serve_ready "$@" "$work/swift_target"
}

# start_static WRAPPER…: a statically linked program at a random address.
start_static() {
  static_source
  gcc -O1 -static-pie -o "$work/static_target" "$work/static_target.c" || return
  serve_ready "$@" "$work/static_target"
}

start_dynamic() {
  static_source
  gcc -O1 -o "$work/dynamic_target" "$work/static_target.c" || return
  serve_ready "$@" "$work/dynamic_target"
}

static_source() {
  cat >"$work/static_target.c" <<'END'
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
char zeros[100000], *volatile kept[1000];
int main(void) {
  for (int i = 0; i < 1000; i++) if ((kept[i] = malloc(i * 7))) memset(kept[i], 1, i * 7);
  for (int i = 0; i < 1000; i += 3) { free(kept[i]); kept[i] = 0; }
  memset(zeros, 1, 50000);
  if (write(1, "ready\n", 6) != 6) return 1;
  for (;;) pause();
}
END
}

# Without a library, so that nothing for 32 bits needs to be installed.
start_32bit() {
  cat >"$work/target32.c" <<'END'
static int call(int number, int a, int b, int c) {
  int result;
  __asm__ volatile("int $0x80" : "=a"(result) : "a"(number), "b"(a), "c"(b), "d"(c) : "memory");
  return result;
}
char zeros[200000];
int numbers[5000] = {1};
void _start(void) {
  for (int i = 0; i < 100000; i += 1000) zeros[i] = 1;
  numbers[4000] = 1;
  int end = call(45, 0, 0, 0);
  call(45, end + 300000, 0, 0);
  for (int i = 0; i < 200000; i += 4096) ((volatile char *)end)[i] = 1;
  call(4, 1, (int)"ready\n", 6);
  for (;;) call(29, 0, 0, 0);
}
END
  gcc -m32 -O1 -ffreestanding -nostdlib -static -fno-stack-protector -fno-pic -no-pie -o "$work/target32" "$work/target32.c" || return
  serve_ready "$@" "$work/target32"
}
