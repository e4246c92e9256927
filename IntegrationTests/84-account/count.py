#!/usr/bin/env python3
"""Checks that a process has as many live blocks as it says: count.py MALLOW PROCESS-ID FILE [BASELINE | --write]

FILE holds what the process said. BASELINE tells of blocks that are libc's: those are taken off. With --write the count goes to FILE.
"""
# SPDX-License-Identifier: Apache-2.0
import json
import subprocess
import sys

mallow, pid, file, *baseline = sys.argv[1:]
reports = {}
for command in ("account", "fragmentation"):
    output = subprocess.run([mallow, command, "--format", "json", pid], capture_output=True, check=False)
    assert output.returncode == 0, output.stderr.decode(errors="replace")
    reports[command] = json.loads(output.stdout)
report = reports["account"]
assert report["unexplained"] == 0, f"{report['unexplained']} bytes unexplained"
assert not report["diagnoses"], report["diagnoses"]
live = report["heap"]["live"]
blocks, size = live["blocks"], live["bytes"]
if baseline and baseline[0] != "--write":
    with open(baseline[0], encoding="ascii") as text:
        own_blocks, own_size = map(int, text.read().split())
    blocks, size = blocks - own_blocks, size - own_size
if baseline and baseline[0] == "--write":
    with open(file, "w", encoding="ascii") as text:
        print(blocks, size, file=text)
else:
    with open(file, encoding="ascii") as text:
        wanted = tuple(map(int, text.read().split()))
    assert (blocks, size) == wanted, f"{blocks} blocks of {size} bytes, not {wanted[0]} of {wanted[1]}"
assert 0 <= live["resident"] <= live["bytes"]

# The heap's parts are the same in both reports, and fill it.
heap = next(row for row in report["rows"] if row["name"].startswith("heap of"))
other = reports["fragmentation"]
assert heap["bytes"] == report["heap"]["resident"] == other["resident"]
assert other["live"] + other["free"]["inPages"] + other["free"]["cached"] + other["metadata"] == other["resident"], other
assert other["live"] == live["resident"] and other["liveBlocks"] == live["blocks"]
assert sum(size["live"]["blocks"] for size in other["classes"]) == live["blocks"]
assert sum(size["live"]["resident"] for size in other["classes"]) == live["resident"]
assert not blocks or other["ratio"] >= 1
if report["target"]["allocator"] == "glibc" and live["blocks"] > 1000:
    # A header for each block, and a few records for each arena: all else is blocks and tops.
    all_blocks = sum(size[state]["blocks"] for size in other["classes"] for state in ("live", "free"))
    assert other["metadata"] <= 16 * all_blocks + 100000, f"{other['metadata']} bytes of metadata"
    assert other["free"]["cached"] > 0, "no resident top"
