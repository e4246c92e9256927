#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Explains each variable whose address a program printed, and compares with expected.json. A line for each: ok or what is wrong.

check.py MALLOW TARGET PROGRAM SAID ALLOCATOR
"""
import json
import os
import re
import subprocess
import sys


def value(report, path):
    """The part of a report that a path such as keptBy.chain.#  names; # is a number of elements."""
    for key in path.split("."):
        if key == "#":
            report = len(report)
        elif isinstance(report, list):
            report = report[int(key)]
        else:
            report = (report or {}).get(key)
    return report


def problems(mallow, target, address, expected):
    run = subprocess.run([mallow, "explain", target, address, "--format", "json"], capture_output=True, text=True, timeout=120)
    if run.returncode:
        return f"exit code {run.returncode}: {run.stderr.strip()}"
    report = json.loads(run.stdout)
    wrong = []
    for path, wanted in expected.items():
        found = value(report, path)
        if isinstance(found, str) and path.endswith(("file", "module")):
            found = os.path.basename(found)
        if found != wanted:
            wrong.append(f"{path} is {found!r}, not {wanted!r}")
    return "; ".join(wrong)


def main(mallow, target, program, said, allocator):
    with open(os.path.join(os.path.dirname(__file__), "expected.json"), encoding="utf-8") as file:
        expected = json.load(file)[program]
    with open(said, encoding="utf-8") as file:
        addresses = dict(re.findall(r"^(\w+) (0x[0-9a-f]+)$", file.read(), re.MULTILINE))
    for name, wanted in expected.items():
        if wanted.get("allocator", allocator) != allocator:
            continue
        wanted = {key: part for key, part in wanted.items() if key != "allocator"}
        if name.startswith("symbol "):
            wrong = problems(mallow, target, name.removeprefix("symbol "), wanted)
        else:
            wrong = problems(mallow, target, addresses[name], wanted) if name in addresses else "its address was not printed"
        print(f"{name}\t{wrong}")


main(*sys.argv[1:])
