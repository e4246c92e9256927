#!/usr/bin/env python3
"""Compares a JSON report of leaks with the blocks that a program lost: check.py LOST REPORT [HIDDEN]. Prints what differs.

Up to HIDDEN blocks may be missing: a heap at low addresses has some that an integer leads to by chance.

LOST has a line for each block, its address and its usable size, as known.c prints them.
"""
import json
import sys


def main(lost_file, report_file, hidden=0):
    lost = {}
    for line in open(lost_file):
        if line.startswith("0x"):
            address, size = line.split()
            lost[int(address, 16)] = int(size)
    report = json.load(open(report_file))
    problems = []
    if report["target"]["allocator"] != "glibc":
        problems.append(f"allocator {report['target']['allocator']}")
    if report.get("diagnoses"):
        problems.append(f"{len(report['diagnoses'])} diagnoses, first {report['diagnoses'][0]}")
    found = {int(address, 16) for group in report["groups"] for address in group["addresses"]}
    for name, blocks in (("missing", lost.keys() - found), ("not lost", found - lost.keys())):
        if name == "missing" and len(blocks) <= int(hidden):
            for address in blocks:
                del lost[address]
            continue
        if blocks:
            problems.append(f"{len(blocks)} {name}, first {min(blocks):#x} of {lost.get(min(blocks), '?')} bytes")
    counts = (report["leaks"]["blocks"], report["leaks"]["bytes"])
    if counts != (len(lost), sum(lost.values())):
        problems.append(f"blocks and bytes {counts}, expected {(len(lost), sum(lost.values()))}")
    print("; ".join(problems))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
