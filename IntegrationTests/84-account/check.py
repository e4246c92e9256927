#!/usr/bin/env python3
"""Checks the account of a process: check.py MALLOW PROCESS-ID [ALLOCATOR]

The process is stopped meanwhile, and runs on afterwards. All rows must add up to the kernel's figure, to the byte.
"""
# SPDX-License-Identifier: Apache-2.0
import json
import os
import signal
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from stopped import resident, wait_for_stop  # noqa: E402


def check_rows(rows, total, name):
    assert sum(row["bytes"] for row in rows) == total, f"the rows of {name} do not add up to {total}"
    assert len({row["name"] for row in rows}) == len(rows), f"{name} has two rows of one name"
    for row in rows:
        assert row["bytes"] > 0 or row.get("blocks", 0) > 0, f"{row['name']} is empty"
        if "rows" in row:
            check_rows(row["rows"], row["bytes"], row["name"])


def main():
    mallow, pid = sys.argv[1], int(sys.argv[2])
    allocator = sys.argv[3] if len(sys.argv) > 3 else None
    os.kill(pid, signal.SIGSTOP)
    try:
        wait_for_stop(pid)
        before = resident(pid)
        output = subprocess.run([mallow, "account", "--format", "json", str(pid)], capture_output=True, check=False)
        assert output.returncode == 0, output.stderr.decode(errors="replace")
        after = resident(pid)
    finally:
        os.kill(pid, signal.SIGCONT)
    report = json.loads(output.stdout)
    assert report["schema"] == "mallow/1" and report["command"] == "account"
    assert report["unexplained"] == 0, f"{report['unexplained']} bytes unexplained"
    # Reading a process's code brings pages of its file in.
    assert before <= report["resident"] <= after, f"{report['resident']} bytes resident, the kernel says {before} and {after}"
    assert report["resident"] == report["explained"]
    check_rows(report["rows"], report["explained"], "the account")
    assert not report["diagnoses"], report["diagnoses"]
    names = {row["name"] for row in report["rows"]}
    assert {"code", "read-only data", "data", "stacks"} <= names, f"only {names}"
    if allocator:
        assert report["target"]["allocator"] == allocator, report["target"]
        assert (f"heap of {allocator}" if allocator == "glibc" else "heap of Mallow") in names, f"no heap: {names}"
    print(f"{report['resident']} bytes, all explained")


main()
