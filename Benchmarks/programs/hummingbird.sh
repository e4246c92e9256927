# shellcheck shell=bash
# A Swift server on Hummingbird and SwiftNIO, which decodes, keeps and encodes JSON.
# SPDX-License-Identifier: Apache-2.0

# A request's body: always the same orders.
orders() {
  awk 'BEGIN {
    srand(42)
    printf "["
    for (order = 0; order < 20; order++) {
      printf "%s{\"id\": %d, \"customer\": \"customer %d\", \"items\": [", order ? ", " : "", order, rand() * 1000
      for (item = 0; item < 1 + int(rand() * 4); item++)
        printf "%s{\"name\": \"an item named %d\", \"price\": %.2f, \"tags\": [\"tag %d\", \"a longer tag %d\"]}",
          item ? ", " : "", rand() * 5000, rand() * 100, rand() * 9, rand() * 9
      printf "]}"
    }
    print "]"
  }'
}

# The package is built here. Its folder must not be named like one of its dependencies, or that is not found.
prepare() {
  mkdir -p web-server
  cp -a "$BENCHMARKS/programs/hummingbird/." web-server
  swift build -c release --package-path web-server
  orders >orders.json
}

# load COUNT OPTION… URL: so many requests, all of which must succeed.
load() {
  h2load --h1 -c 16 -n "$@" | tee load.log
  grep -q "^requests: $1 total, $1 started, $1 done, $1 succeeded" load.log
}

run() {
  local port url
  port=$(free_port)
  url=http://127.0.0.1:$port/orders
  measured_start web-server/.build/release/server "$port"
  wait_until 20 curl -sf "$url/1"
  local started=${EPOCHREALTIME/./}
  load "$(pick 500 5000)" -d orders.json -H "content-type: application/json" "$url"
  load "$(pick 500 5000)" "$url/20"
  awk -v took=$((${EPOCHREALTIME/./} - started)) 'BEGIN { print took / 1e6 }' >"$WALL"
  measured_stop
}
