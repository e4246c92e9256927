#!/usr/bin/env python3
"""Compares the layout of a core file with that of the process it is of: check_core.py MALLOW LIVE-JSON CORE same|like

A snapshot must have the same regions; other cores leave some out.
"""
# SPDX-License-Identifier: Apache-2.0
import json
import subprocess
import sys


def regions(report):
    return {(int(r["start"], 16), int(r["end"], 16), r["kind"]) for r in report["regions"]}


def main():
    mallow, live, core, how = sys.argv[1:5]
    with open(live, encoding="utf-8") as file:
        wanted = regions(json.load(file))
    output = subprocess.run([mallow, "layout", "--format", "json", core], capture_output=True, text=True, check=False)
    assert output.returncode == 0, output.stderr
    found = regions(json.loads(output.stdout))
    if how == "same":
        assert found == wanted, f"not the same: {sorted(found ^ wanted)}"
    kinds = ("text", "data", "bss", "heap", "stack", "thread-stack", "auxv", "arguments", "environment", "vdso")
    for kind in kinds:
        assert any(region[2] == kind for region in found), f"no {kind}"
        assert {region for region in found if region[2] == kind} == {region for region in wanted if region[2] == kind}, f"{kind} differs"
    print(f"{len(found)} regions")


main()
