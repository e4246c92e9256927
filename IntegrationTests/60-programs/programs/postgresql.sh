# shellcheck shell=bash
# PostgreSQL: a new cluster, a script that sorts, hashes and aggregates, and pgbench, after which all its sums must agree.
# SPDX-License-Identifier: Apache-2.0

postgresql_run() {
  local bin data=$work/postgresql.$way sum
  bin=$(printf "%s\n" /usr/lib/postgresql/*/bin | tail -n 1)
  become postgres
  "${as[@]}" true || return
  install -d -o "$("${as[@]}" id -un)" -m 700 "$data" "$data/socket"
  "${as[@]}" "${run[@]}" "$bin/initdb" -D "$data/cluster" -U postgres --auth trust --no-sync >&2 || return
  serve "${as[@]}" "${run[@]}" "$bin/postgres" -D "$data/cluster" -c listen_addresses= -k "$data/socket" -c fsync=off
  local client=(-h "$data/socket" -U postgres)
  wait_until 20 "$bin/pg_isready" "${client[@]}" && serves_as_wanted || return
  "${as[@]}" "${run[@]}" "$bin/psql" "${client[@]}" -XAtq -v ON_ERROR_STOP=1 -f - <"$topic/programs/postgresql.sql" || return
  "${as[@]}" "$bin/pgbench" "${client[@]}" -i -q -s 2 postgres >&2 || return
  "${as[@]}" "${run[@]}" "$bin/pgbench" "${client[@]}" -c 4 -j 2 -T "$(pick 10 60)" postgres >&2 || return
  sum=$("$bin/psql" "${client[@]}" -XAtc "
    SELECT count(DISTINCT s), count(*) FROM (
      SELECT sum(abalance) AS s FROM pgbench_accounts UNION ALL SELECT sum(bbalance) FROM pgbench_branches UNION ALL
      SELECT sum(tbalance) FROM pgbench_tellers UNION ALL SELECT sum(delta) FROM pgbench_history) AS sums")
  echo "distinct sums, sums: $sum"
  [ "$sum" = "1|4" ] && stop
}

set_limit 200
compare "postgresql: initdb, a script, pgbench" postgresql_run
set_limit 120
