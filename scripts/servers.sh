# shellcheck shell=bash
# For scripts that start servers: waiting for them, ports, and users. The process id of the server that runs is in $server, or nothing.
# SPDX-License-Identifier: Apache-2.0

server=

# wait_until SECONDS COMMAND…: polls until the command succeeds; fails where it does not in time, or the server is gone.
wait_until() {
  local end=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    if [ "$SECONDS" -ge "$end" ] || { [ "$server" ] && ! kill -0 "$server" 2>/dev/null; }; then
      echo "waited in vain for: $*" >&2
      return 1
    fi
    sleep 0.02
  done
}

free_port() {
  perl -MIO::Socket::INET -e 'print IO::Socket::INET->new(Listen => 1, LocalAddr => "127.0.0.1")->sockport'
}

# become USER: "${as[@]}" COMMAND… then runs a command as this user, since some servers refuse to run as root. Whoever is not root
# stays himself.
# shellcheck disable=SC2034 # as is for the caller
become() {
  as=()
  [ "$(id -u)" != 0 ] || as=(setpriv --reuid "$1" --regid "$(id -g "$1")" --clear-groups env HOME="$PWD")
}
