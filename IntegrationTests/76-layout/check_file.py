#!/usr/bin/env python3
"""Compares the layout of an ELF file with what readelf says of it: check_file.py MALLOW FILE"""
# SPDX-License-Identifier: Apache-2.0
import json
import re
import subprocess
import sys

PAGE = 4096


def readelf(option, path):
    return subprocess.run(["readelf", "-W", option, path], capture_output=True, text=True, check=True).stdout


def main():
    mallow, path = sys.argv[1:3]
    output = subprocess.run([mallow, "layout", "--format", "json", path], capture_output=True, text=True, check=False)
    assert output.returncode == 0, output.stderr
    report = json.loads(output.stdout)
    regions = [(int(r["start"], 16), int(r["end"], 16), r) for r in report["regions"]]
    segments = re.findall(
        r"^ +(LOAD|TLS|GNU_RELRO|GNU_STACK) +0x(\w+) 0x(\w+) 0x\w+ 0x(\w+) 0x(\w+) (.{3})", readelf("-l", path), re.M)
    found = 0
    for kind, *numbers, flags in segments:
        offset, address, file_size, memory_size = (int(number, 16) for number in numbers)
        end = -(-(address + memory_size) // PAGE) * PAGE
        if kind == "LOAD":
            inside = [r for r in regions if r[0] >= address and r[1] <= end]
            assert inside and inside[0][0] == address and inside[-1][1] == end, f"segment at {address:#x} is not covered"
            assert all(a[1] == b[0] for a, b in zip(inside, inside[1:])), f"segment at {address:#x} has a hole"
            found += len(inside)
            zeros = sum(b - a for a, b, r in inside if r["kind"] == "bss")
            assert zeros == (0 if memory_size == file_size else end - address - file_size), f"bss of {address:#x}: {zeros}"
            for start, _, region in inside:
                if region["kind"] != "bss":
                    assert region["fileOffset"] == offset + start - address, f"offset at {start:#x}"
            assert any(r["kind"] == "text" for _, _, r in inside) == ("E" in flags), f"kind at {address:#x}"
        elif kind == "TLS":
            tls = report["threadLocal"]
            assert (int(tls["start"], 16), tls["fileSize"], tls["memorySize"]) == (address, file_size, memory_size), "TLS"
            assert set(tls["sections"]) <= {".tdata", ".tbss"}
        elif kind == "GNU_RELRO":
            limits = address // PAGE * PAGE, (address + memory_size) // PAGE * PAGE
            for start, end, region in regions:
                assert region["relro"] == (limits[0] <= start and end <= limits[1]) or start >= limits[1], f"relro at {start:#x}"
        else:
            assert report["stackExecutable"] == ("E" in flags)
    assert found == len(regions), "a region of no segment"
    sections = re.findall(r"^ +\[ *\d+\] (\S+) +(\w+) +(\w+) \w+ (\w+) \w+ +(\w*) ", readelf("-S", path), re.M)
    for name, kind, address, size, flags in sections:
        if "A" in flags and regions and int(size, 16) and not ("T" in flags and kind == "NOBITS"):
            holders = [r for r in regions if r[0] <= int(address, 16) < r[1]]
            assert len(holders) == 1 and name in holders[0][2]["sections"], f"section {name} at {address}"
    text = subprocess.run([mallow, "layout", path], capture_output=True, text=True, check=True).stdout
    assert all(len(line) <= 80 for line in text.splitlines()), "a line of more than 80 columns"
    print(f"{len(regions)} regions, {len(sections)} sections")


main()
