# shellcheck shell=bash
# The allocators that are compared: where their libraries are, and which variables they want.
# Sets for each name in $allocators: library[NAME] and variables[NAME].
# SPDX-License-Identifier: Apache-2.0

known_allocators=(mallow glibc mimalloc2 mimalloc3 mimalloc3-nothp jemalloc tcmalloc tbbmalloc)
declare -A library variables

# find_allocator NAME: says in $library[NAME] and $version what it is.
find_allocator() {
  local name=$1 system
  system=/usr/lib/$(gcc -print-multiarch)
  variables[$name]=''
  case $name in
    mallow) find_mallow ;;
    glibc) library[$name]='' version=$(getconf GNU_LIBC_VERSION | cut -d ' ' -f 2) ;;
    mimalloc2) find_packaged libmimalloc2.0 "$system/libmimalloc.so.2" ;;
    mimalloc3) find_mimalloc3 ;;
    mimalloc3-nothp) find_mimalloc3 && variables[$name]=MIMALLOC_ALLOW_THP=0 && version+=", MIMALLOC_ALLOW_THP=0" ;;
    jemalloc) find_packaged libjemalloc2 "$system/libjemalloc.so.2" ;;
    tcmalloc) find_packaged libtcmalloc-minimal4 "$system/libtcmalloc_minimal.so.4" ;;
    tbbmalloc) find_packaged libtbbmalloc2 "$system/libtbbmalloc_proxy.so.2" ;;
  esac
}

# find_packaged PACKAGE LIBRARY
find_packaged() {
  library[$name]=$2
  version=$(dpkg-query --show --showformat '${Version}' "$1")
}

# Built here, and copied, so that a build that runs meanwhile does not change what is measured.
find_mallow() {
  local built=${MALLOW_LIBRARY:-$benchmarks/../.build/release/libmallow.so}
  if [ -z "${MALLOW_LIBRARY:-}" ]; then
    show_progress "building Mallow"
    swift build -c release --package-path "$benchmarks/.." --product libmallow.so >"$work/mallow.log" 2>&1 || {
      tail -n 20 "$work/mallow.log" >&2
      return 1
    }
  fi
  library[$name]=$work/libmallow.so
  install -m 755 "$built" "$work/libmallow.so" || return
  version=$(git -C "$benchmarks" describe --always --dirty 2>/dev/null || echo unknown)
  [ -z "${MALLOW_LIBRARY:-}" ] || version=$MALLOW_LIBRARY
}

# mimalloc 3 is not in Debian 12, but PyPI has a build of it.
find_mimalloc3() {
  local folder=$work/mimalloc3 wanted=3.4.3
  version=$wanted
  library[$name]=$folder/$wanted/cmeel.prefix/lib/libmimalloc.so.3
  [ -e "${library[$name]}" ] && return
  mkdir -p "$folder"
  python3 -m pip download --quiet --no-deps --dest "$folder" "cmeel-mimalloc==$wanted" || return
  python3 -m zipfile -e "$folder/cmeel_mimalloc-$wanted"-*.whl "$folder/$wanted"
}

# The dynamic loader ignores a library that it can't preload, and the program would be measured on glibc.
serves() {
  local from
  from=$(env ${variables[$1]:+"${variables[$1]}"} LD_PRELOAD="${library[$1]}" "$work/tables/smallest" | cut -d ' ' -f 2-) || return
  if [ "${library[$1]}" ]; then [ "$from" -ef "${library[$1]}" ]; else [[ $from == */libc.so.6 ]]; fi
}

set_up_allocators() {
  local wanted=("${allocators[@]}") name version
  allocators=()
  for name in "${wanted[@]}"; do
    if [[ $name == *=* ]]; then
      version=${name#*=}
      name=${name%%=*}
      variables[$name]=''
      library[$name]=$(realpath "$version") || continue
    elif ! find_allocator "$name" >&2; then
      echo "$name can't be had, and is left out." >&2
      continue
    fi
    if ! serves "$name"; then
      echo "$name (${library[$name]}) does not serve malloc when it is preloaded, and is left out." >&2
      continue
    fi
    allocators+=("$name")
    record allocator "$name" "$version"
  done
  if [ ${#allocators[@]} = 0 ]; then
    echo "There is no allocator to measure." >&2
    exit 2
  fi
  # Servers that refuse to run as root run as other users.
  if [ "$(id -u)" = 0 ] && ! setpriv --reuid 65534 --regid 65534 --clear-groups test -x "$work"; then
    echo "Other users can't enter $work, and some programs have to run as such: move the repository to where they can." >&2
    exit 2
  fi
}
