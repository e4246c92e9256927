# shellcheck shell=bash
# What a benchmark of a real program, programs/NAME.sh, may use. Such a file defines two functions, whose current directory is a
# scratch folder of their own:
#
#   prepare   makes inputs, once; nothing is measured or preloaded
#   run       does the work, once for each allocator and round
#
# Inputs that come with the benchmark are in $BENCHMARKS/programs/NAME/. In `run`, the program that is compared is started by `measured`,
# or as a server by `measured_start`; everything else runs without a preload. Where the wall time of `run` as a whole is not the one that
# counts, it writes another, in seconds, to the file $WALL. The first command that fails ends either (set -e), and the benchmark has
# failed.
# SPDX-License-Identifier: Apache-2.0

set -eu -o pipefail
export LC_ALL=C
# shellcheck source=../scripts/servers.sh
source "$BENCHMARKS/../scripts/servers.sh"

# pick QUICK FULL: the first of two values in a quick run of the suite, the second otherwise.
pick() { if [ "${QUICK:-0}" = 1 ]; then echo "$1"; else echo "$2"; fi; }

# measured COMMAND…: runs the program in the foreground. Where `run` does so several times, CPU time adds up and the largest peak
# counts.
measured() { "$MEASURE" "$FIGURES" "$PRELOAD" "$@"; }

# measured_start COMMAND…: starts a server; its process id, to which signals may be sent, is then in $server. One at a time.
measured_start() {
  "$MEASURE" "$FIGURES" "$PRELOAD" "$@" &
  server=$!
}

# measured_stop [SIGNAL]: stops the server by SIGTERM, or by the signal named, and waits for its end.
measured_stop() {
  local signal=${1:-TERM} status=0 stopping=$server
  server=
  kill -s "$signal" "$stopping"
  wait "$stopping" || status=$?
  case $status in
    0 | $((128 + $(kill -l "$signal")))) ;;
    *) echo "the server ended with exit code $status" >&2; return 1 ;;
  esac
}
