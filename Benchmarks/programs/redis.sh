# shellcheck shell=bash
# Redis under its own benchmark's load: strings, lists and hashes with values of several sizes, pipelined.
# SPDX-License-Identifier: Apache-2.0

# Debian's Redis is linked to jemalloc. Where nothing is preloaded, libc is, so that it runs on glibc's allocator even so.
PRELOAD=${PRELOAD:-libc.so.6}

requests=$(pick 16000 128000)

prepare() { :; }

load() { redis-benchmark -s redis.sock -q -n "$requests" -P 32 -c 20 -r 50000 "$@"; }

run() {
  measured_start redis-server --port 0 --unixsocket redis.sock --save '' --loglevel warning
  wait_until 10 redis-cli -s redis.sock ping
  local started=${EPOCHREALTIME/./} size
  for size in 10 100 1000; do
    load -d $size -t set,get,lpush,rpop
    load HSET user:__rand_int__ name "$(printf %0${size}d)" time __rand_int__
  done
  load -d 100 -t mset,zadd,lpush
  awk -v took=$((${EPOCHREALTIME/./} - started)) 'BEGIN { print took / 1e6 }' >"$WALL"
  [ "$(redis-cli -s redis.sock llen mylist)" = "$requests" ]
  measured_stop
}
