# shellcheck shell=bash
# Redis whose strings are deleted and replaced by others of different sizes, again and again. The live ones never need more
# memory than at first; an allocator that does not get rid of fragments does.
# SPDX-License-Identifier: Apache-2.0

PRELOAD=${PRELOAD:-libc.so.6} # as in redis.sh

# Each round brings the live values to so many bytes by values of its own size, then deletes three quarters of all keys.
commands() {
  awk -v bytes="$(pick 5 40)000000" 'BEGIN {
    srand(42)
    count = 0
    rounds = split("90 150 230 130 350 520 180 750", sizes)
    for (r = 1; r <= rounds; r++) {
      while (live < bytes) {
        size = int(sizes[r] * (0.9 + 0.2 * rand()))
        key[count] = "k" r "." count; length_of[count++] = size
        live += size
        print "SETRANGE", key[count - 1], size - 1, "x"
      }
      kept = 0
      for (i = 0; i < count; i++) {
        if (r < rounds && rand() < 0.75) { print "DEL", key[i]; live -= length_of[i]; continue }
        key[kept] = key[i]; length_of[kept++] = length_of[i]
      }
      count = kept
    }
    print count >"keys"
  }'
}

prepare() { commands >load; }

run() {
  measured_start redis-server --port 0 --unixsocket redis.sock --save '' --loglevel warning
  wait_until 10 redis-cli -s redis.sock ping
  local started=${EPOCHREALTIME/./}
  redis-cli -s redis.sock --pipe <load
  awk -v took=$((${EPOCHREALTIME/./} - started)) 'BEGIN { print took / 1e6 }' >"$WALL"
  redis-cli -s redis.sock dbsize | cmp - keys
  measured_stop
}
