#!/usr/bin/env python3
"""Compares a JSON report of leaks with what expected.json says of a program. Prints what differs.

check.py EXPECTED PROGRAM REPORT [--requested]: with --requested, bytes must be exact, as a full profile knows them.
"""
import json
import sys


def main(expected_file, program, report_file, requested=False):
    expected = json.load(open(expected_file))[program]
    report = json.load(open(report_file))
    groups = report["groups"]
    problems = []

    def expect(what, found, wanted):
        if found != wanted:
            problems.append(f"{what}: {found}, expected {wanted}")

    def of(kind, key="blocks"):
        return sum(group[key] for group in groups if group["kind"] == kind)

    leaks = report["leaks"]
    expect("blocks", leaks["blocks"], expected["blocks"])
    expect("blocks of all groups", sum(group["blocks"] for group in groups), leaks["blocks"])
    expect("bytes of all groups", sum(group["bytes"] for group in groups), leaks["bytes"])
    expect("addresses", sum(len(group["addresses"]) for group in groups), leaks["blocks"])
    if "bytes" in expected:
        most = expected["bytes"] if requested else expected["bytes"] * 1.25 + 16 * expected["blocks"]
        if not expected["bytes"] <= leaks["bytes"] <= most:
            problems.append(f"bytes: {leaks['bytes']}, expected {expected['bytes']}")
    for kind in ("definite", "indirect"):
        if kind in expected:
            expect(kind, of(kind), expected[kind])
    if "cycles" in expected:
        expect("blocks in cycles", of("cycle"), expected["blocks"])
        # Blocks of one type that were allocated by several stacks, or some of them sampled, make several groups.
        for name in {group.get("type") for group in groups}:
            expect(f"cycles of {name}", sum(group["cycles"] for group in groups if group.get("type") == name), expected["cycles"])
    if "types" in expected:
        expect("types", sorted({group.get("type") for group in groups}), sorted(expected["types"]))
    print("; ".join(problems))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:4], requested="--requested" in sys.argv))
