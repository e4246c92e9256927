# shellcheck shell=bash
# ELF files of several processors: what the loader will map, compared with readelf.
# SPDX-License-Identifier: Apache-2.0

cat >library.c <<'C'
__thread int counter;
__thread int preset = 3;
static int zeros[3000];
static int values[] = {1, 2, 3};
const int constants[] = {4, 5, 6};
int *const pointer = values;
int sum(int index) { return zeros[index] + values[index % 3] + constants[index % 3] + counter + preset + *pointer; }
C

file_layout() { check "$1" python3 "$topic/check_file.py" "$mallow" "$2"; }

for target in x86_64 i386 aarch64; do
  # The compiler that comes with Swift makes code for all of them.
  if "$(dirname "$(readlink -f "$(command -v swiftc)")")/clang" -target "$target-linux-gnu" -O1 -fPIC -shared -nostdlib -fuse-ld=lld \
    -Wl,-z,relro library.c -o "library-$target.so" 2>clang.log; then
    file_layout "a library for $target" "library-$target.so"
  else
    fail "a library for $target" "$(tail -n 1 clang.log)"
  fi
done
gcc -shared -fPIC -Wl,-z,now library.c -o library.so && file_layout 'a library by ld' library.so
gcc -c library.c -o library.o && file_layout 'an object file' library.o
file_layout 'a program' ./maps
file_layout 'a static program' ./maps-static
file_layout 'a static-pie' ./maps-static-pie
[ ! "$has_32" ] || file_layout 'a 32-bit program as a file' ./maps-32
file_layout "libc" "$(ldd ./maps | awk '/libc.so/ { print $3 }')"
