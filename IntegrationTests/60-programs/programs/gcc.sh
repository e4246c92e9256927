# shellcheck shell=bash
# g++ compiling a heavy file: the same object code.
# SPDX-License-Identifier: Apache-2.0

gcc_run() {
  "${run[@]}" g++ -std=c++17 -O2 -c "$topic/programs/heavy.cpp" -o "$work/heavy.o" && sha256sum <"$work/heavy.o"
}

compare "g++: object code of a heavy file" gcc_run
