# shellcheck shell=bash
# git: the whole history is repacked by two threads, then shown as patches.
# SPDX-License-Identifier: Apache-2.0

# A history for git fast-import, always the same: each commit changes some lines of some files.
history() {
  awk -v commits="$(pick 100 1200)" 'BEGIN {
    srand(42)
    for (commit = 1; commit <= commits; commit++) {
      printf "commit refs/heads/main\ncommitter A <a@example.com> %d +0000\ndata 6\nchange\n", 1700000000 + commit
      for (change = 0; change < 6; change++) {
        file = int(rand() * 80)
        for (edit = 0; edit < 10; edit++) value[file, int(rand() * 300)] = int(rand() * 100000)
        size = 0
        for (number = 0; number < 300; number++) {
          line[number] = "line " number " of file " file ": " value[file, number]
          size += length(line[number]) + 1
        }
        printf "M 100644 inline folder%d/file%d\ndata %d\n", file % 9, file, size
        for (number = 0; number < 300; number++) print line[number]
        print ""
      }
    }
  }'
}

repack() { "$@" git -C repository -c pack.threads=2 repack -a -d -f --quiet --depth=50 --window=50; }

show() { "$@" git -C repository log --patch --stat main | sha256sum; }

prepare() {
  rm -rf repository
  git init --quiet --bare --initial-branch=main repository
  history | git -C repository fast-import --quiet
  repack
  show >expected
}

run() {
  repack measured
  git -C repository fsck --full
  show measured | cmp - expected
}
