# shellcheck shell=bash
# PostgreSQL: pgbench's short transactions, then queries that sort, hash, and build arrays and JSON.
# SPDX-License-Identifier: Apache-2.0

binaries=$(printf '%s\n' /usr/lib/postgresql/*/bin | tail -n 1)
transactions=$(pick 200 2000)

# A cluster of the benchmark's own, with its socket inside. PostgreSQL refuses to run as root.
server() {
  become postgres
  "$@" "${as[@]}" "$binaries/postgres" -D data -c listen_addresses= -k "$PWD/data" -c fsync=off -c autovacuum=off \
    -c jit=off -c shared_buffers=16MB -c work_mem=32MB -c max_parallel_workers_per_gather=0
}

query() { "$binaries/psql" -h "$PWD/data" -U postgres -XAtq -v ON_ERROR_STOP=1 "$@"; }

load() { "$binaries/pgbench" -h "$PWD/data" -U postgres --no-vacuum --random-seed=42 --client=2 "$@" postgres; }

prepare() {
  rm -rf data cluster
  become postgres
  install -d -o "$("${as[@]}" id -un)" -m 700 data
  if ! "${as[@]}" test -x "$PWD"; then
    echo "the user postgres can't enter $PWD: permit it, or run the benchmarks as a user other than root" >&2
    return 1
  fi
  "${as[@]}" "$binaries/initdb" -D data -U postgres --auth trust --no-sync
  server measured_start
  wait_until 20 query -c "SELECT 1"
  "$binaries/pgbench" -h "$PWD/data" -U postgres --initialize --quiet --scale=4 postgres
  query -f "$BENCHMARKS/programs/postgresql/tables.sql"
  measured_stop
  mv data cluster
}

run() {
  rm -rf data
  cp -a cluster data
  server measured_start
  wait_until 20 query -c "SELECT 1"
  local started=${EPOCHREALTIME/./}
  load --transactions="$transactions"
  load --transactions="$((transactions / 200))" --file="$BENCHMARKS/programs/postgresql/queries.sql"
  awk -v took=$((${EPOCHREALTIME/./} - started)) 'BEGIN { print took / 1e6 }' >"$WALL"
  query -c "SELECT count(*), sum(delta) = (SELECT sum(abalance) FROM pgbench_accounts) FROM pgbench_history" >sums
  [ "$(cat sums)" = "$((transactions * 2))|t" ]
  measured_stop
}
