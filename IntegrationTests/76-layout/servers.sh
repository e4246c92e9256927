# shellcheck shell=bash
# Servers: each of their processes.
# SPDX-License-Identifier: Apache-2.0

# check_tree NAME: the last server and its children.
check_tree() {
  local name=$1 process
  for process in "$server" $(pgrep -P "$server"); do
    check "$name, $(tr '\0' ' ' <"/proc/$process/cmdline" | cut -c 1-40)" python3 "$topic/check.py" "$mallow" "$process" || return
  done
}

if command -v redis-server >/dev/null; then
  serve redis-server --port 0 --unixsocket "$work/redis.sock" --save '' --dir "$work"
  wait_until 10 redis-cli -s "$work/redis.sock" PING && redis-cli -s "$work/redis.sock" DEBUG POPULATE 20000 >/dev/null
  check_tree Redis
  stop_servers
fi

nginx_folder=$work/nginx
mkdir -p "$nginx_folder"
chmod 777 "$nginx_folder"
port=$(free_port)
cat >"$nginx_folder/settings" <<END
worker_processes 2; error_log $nginx_folder/error.log; pid $nginx_folder/pid; events { worker_connections 64; }
http { access_log off; client_body_temp_path $nginx_folder/body; proxy_temp_path $nginx_folder/proxy;
  fastcgi_temp_path $nginx_folder/f; uwsgi_temp_path $nginx_folder/u; scgi_temp_path $nginx_folder/s;
  server { listen 127.0.0.1:$port; return 204; } }
END
become nobody
serve "${as[@]}" /usr/sbin/nginx -e "$nginx_folder/error.log" -c "$nginx_folder/settings" -g 'daemon off;'
wait_until 10 curl -sf "http://127.0.0.1:$port/" && check_tree nginx
stop_servers

become postgres
postgres_folder=$work/postgres
install -d -o "$("${as[@]}" id -un)" -m 700 "$postgres_folder"
postgres_bin=$(printf '%s\n' /usr/lib/postgresql/*/bin | tail -n 1)
if "${as[@]}" "$postgres_bin/initdb" -D "$postgres_folder/cluster" --auth trust --no-sync >/dev/null 2>&1; then
  serve "${as[@]}" "$postgres_bin/postgres" -D "$postgres_folder/cluster" -c listen_addresses= -k "$postgres_folder" -c fsync=off 2>/dev/null
  wait_until 20 "$postgres_bin/pg_isready" -h "$postgres_folder" && check_tree PostgreSQL
  stop_servers
else
  fail PostgreSQL 'no cluster could be made'
fi

# A Swift program with threads of the concurrency runtime.
cat >server.swift <<'SWIFT'
import Glibc
func work(_ seed: Int) async -> Int { (0..<100_000).reduce(seed) { $0 &* 31 &+ $1 } }
@main struct Server {
  static func main() async {
    let sum = await withTaskGroup(of: Int.self) { group in
      for seed in 0..<8 { group.addTask { await work(seed) } }
      return await group.reduce(0, &+)
    }
    let kept = (0..<20_000).map { "value \($0 &+ sum)" }
    print("ready")
    fflush(stdout)
    while true { sleep(UInt32(min(kept.count, 600))) }
  }
}
SWIFT
if swiftc -O -parse-as-library server.swift -o swift-server 2>/dev/null; then
  layout_of 'a Swift program' --strings ./swift-server
else
  fail 'a Swift program' 'does not compile'
fi
