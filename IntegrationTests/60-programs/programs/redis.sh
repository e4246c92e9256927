# shellcheck shell=bash
# Redis: the digest of its data after a fixed load, a saved and reloaded data set (which forks), and its own benchmark.
# SPDX-License-Identifier: Apache-2.0

redis_load() {
  awk -v count="$(pick 40000 300000)" 'BEGIN {
    srand(1)
    for (i = 0; i < count; i++) {
      key = int(rand() * count / 4)
      value = sprintf("%0*d", int(rand() * rand() * 2000) + 1, i)
      kind = int(rand() * 10)
      if (kind < 3) print "SET s" key, value
      else if (kind < 4) print "APPEND s" key, value
      else if (kind < 5) print "DEL s" key
      else if (kind < 6) print "RPUSH l" key % 500, value
      else if (kind < 7) print "LPOP l" key % 500
      else if (kind < 8) print "HSET h" key % 300, "f" i % 1000, value
      else if (kind < 9) print "ZADD z" key % 300, i % 977, "m" value
      else print "SADD t" key % 300, value
    }
  }'
}

redis_run() {
  local cli=(redis-cli -s "$work/redis.sock")
  rm -rf "$work/redis" && mkdir "$work/redis"
  serve "${run[@]}" redis-server --port 0 --unixsocket "$work/redis.sock" --dir "$work/redis" --save '' \
    --enable-debug-command yes
  wait_until 10 "${cli[@]}" PING && serves_as_wanted || return
  "${cli[@]}" --pipe <"$work/redis.load" >&2 && "${cli[@]}" DEBUG DIGEST && "${cli[@]}" DBSIZE || return
  redis-benchmark -s "$work/redis.sock" -q -n "$(pick 5000 100000)" -P 16 -d 200 -r 10000 \
    -t set,get,incr,lpush,rpop,sadd,hset,zadd,lrange_100,mset >&2 || return
  "${cli[@]}" DEBUG RELOAD && "${cli[@]}" BGSAVE >&2 || return
  wait_until 30 eval "redis-cli -s '$work/redis.sock' INFO persistence | grep -q rdb_bgsave_in_progress:0" || return
  "${cli[@]}" INFO persistence | grep rdb_last_bgsave_status
  stop && redis-check-rdb "$work/redis/dump.rdb" | grep -o 'RDB looks OK'
}

redis_load >"$work/redis.load"
compare "redis: data, reload, save in a fork, benchmark" redis_run
