# shellcheck shell=bash
# git: garbage collection of a repository with many similar files, by several threads; its history afterwards is unchanged.
# SPDX-License-Identifier: Apache-2.0

# A history for git fast-import, always the same.
git_history() {
  awk -v commits="$(pick 150 1000)" 'BEGIN {
    srand(1)
    for (c = 1; c <= commits; c++) {
      printf "commit refs/heads/main\ncommitter A <a@example.com> %d +0000\ndata 8\ncommit %%\n", 1700000000 + c
      for (f = 0; f < 5; f++) {
        text = ""
        for (line = 0; line < 400; line++) text = text "line " line " of " int(rand() < 0.02 ? rand() * 1000 : line * 31 % 97) "\n"
        printf "M 100644 inline folder%d/file%d\ndata %d\n%s\n", c % 7, (c * 5 + f) % 60, length(text), text
      }
    }
  }'
}

git_run() {
  local repository=$work/git.$way
  local git=(git -C "$repository" -c pack.threads=2 -c user.name=A -c user.email=a@example.com)
  git init -q --bare "$repository" && "${run[@]}" "${git[@]}" fast-import --quiet <"$work/git.history" || return
  "${run[@]}" "${git[@]}" gc -q --aggressive --prune=now && "${run[@]}" "${git[@]}" fsck --full --strict >&2 || return
  "${git[@]}" fsck --full >&2 || return
  "${git[@]}" rev-parse main && "${run[@]}" "${git[@]}" log -p main | sha256sum
  "${run[@]}" "${git[@]}" rev-list --objects --all | sort | sha256sum
}

git_history >"$work/git.history"
compare "git: gc, fsck, log" git_run
