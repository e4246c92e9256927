# shellcheck shell=bash
# SQLite: a heavy script in memory.
# SPDX-License-Identifier: Apache-2.0

same_output "sqlite: a heavy script in memory" sqlite3 -batch -init /dev/null :memory: ".param set :count $(pick 100000 600000)" \
  ".read $topic/programs/sqlite.sql"
