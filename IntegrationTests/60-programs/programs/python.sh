# shellcheck shell=bash
# Python, with every object on malloc: a script, and tests of its own.
# SPDX-License-Identifier: Apache-2.0

python=(env PYTHONMALLOC=malloc PYTHONHASHSEED=0 /usr/bin/python3)
same_output "python: a script" "${python[@]}" "$topic/programs/script.py" "$(pick 30000 200000)"

for module in test_json test_dict test_threading; do
  # The tests' names and outcomes, without their times.
  python_test() {
    "${run[@]}" "${python[@]}" -m unittest -v "test.$module" >/dev/null 2>"$work/python.log"
    local status=$?
    grep -E ' \.\.\. |^(OK|FAILED)' "$work/python.log" | sort
    tail -n 5 "$work/python.log" >&2
    return $status
  }
  compare "python: $module" python_test
done
