#!/usr/bin/env python3
"""Compares the layout of a process with what the kernel says of it: check.py MALLOW PROCESS-ID [--fast]

The process is stopped meanwhile, and runs on afterwards. --fast leaves out smaps, whose text is long where there are many mappings.
"""
# SPDX-License-Identifier: Apache-2.0
import json
import os
import re
import signal
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from stopped import wait_for_stop  # noqa: E402


def read_maps(pid):
    """Mappings as (start, end, permissions, name)."""
    with open(f"/proc/{pid}/maps", errors="surrogateescape") as file:
        for line in file:
            fields = line.rstrip("\n").split(None, 5)
            start, end = (int(part, 16) for part in fields[0].split("-"))
            yield start, end, fields[1], fields[5] if len(fields) > 5 else ""


def read_smaps(pid):
    """The sums of each mapping, by its start."""
    sums = {}
    with open(f"/proc/{pid}/smaps", errors="surrogateescape") as file:
        for line in file:
            header = re.match(r"([0-9a-f]+)-[0-9a-f]+ ", line)
            if header:
                current = sums.setdefault(int(header[1], 16), {})
                continue
            field = re.match(r"(\w+): +(\d+) kB", line)
            if field:
                current[field[1]] = int(field[2]) * 1024
            elif line.startswith("VmFlags:"):
                current["flags"] = line.split()[1:]
    return sums


def read_status(pid, field):
    with open(f"/proc/{pid}/status", errors="replace") as file:
        for line in file:
            if line.startswith(field + ":"):
                return int(line.split()[1]) * 1024
    return 0


def joined(ranges):
    result = []
    for start, end in ranges:
        if result and result[-1][1] == start:
            result[-1][1] = end
        else:
            result.append([start, end])
    return result


def check_cover(maps, regions):
    """Regions cover the mappings exactly, and each lies in one mapping with its permissions."""
    assert all(start < end for start, end, _ in regions), "an empty region"
    assert all(a[1] <= b[0] for a, b in zip(regions, regions[1:])), "regions overlap"
    wanted, found = joined((start, end) for start, end, *_ in maps), joined((start, end) for start, end, _ in regions)
    assert wanted == found, f"regions do not cover the mappings: {set(map(tuple, wanted)) ^ set(map(tuple, found))}"
    number = 0
    for start, end, region in regions:
        while maps[number][1] <= start:
            number += 1
        assert end <= maps[number][1], f"the region at {start:#x} reaches into two mappings"
        assert region["permissions"] == maps[number][2], f"permissions at {start:#x}: {region['permissions']}, not {maps[number][2]}"


def check_sums(maps, regions, smaps):
    """Each mapping's resident, huge, swapped and dirty bytes are those of smaps."""
    number = 0
    for start, end, permissions, name in maps:
        total = {"resident": 0, "huge": 0, "swapped": 0, "dirty": 0, "untouched": 0}
        while number < len(regions) and regions[number][0] < end:
            for key in total:
                total[key] += regions[number][2][key]
            number += 1
        kernel = smaps.get(start)
        if kernel is None:  # vsyscall has none
            continue
        where = f"of {name or 'anonymous'} at {start:#x}"
        assert total["resident"] == kernel["Rss"], f"resident {where}: {total['resident']}, not {kernel['Rss']}"
        huge = kernel["AnonHugePages"] + kernel["ShmemPmdMapped"] + kernel["FilePmdMapped"]
        assert total["huge"] == huge, f"huge {where}: {total['huge']}, not {huge}"
        assert total["resident"] + total["swapped"] + total["untouched"] <= end - start, f"too much {where}"
        if permissions[3] == "p":
            assert total["swapped"] == kernel["Swap"], f"swapped {where}: {total['swapped']}, not {kernel['Swap']}"
            # A page of a file that is not yet written back is dirty to smaps. Here only what has no file counts.
            assert total["dirty"] == kernel["Anonymous"], f"dirty {where}: {total['dirty']}, not {kernel['Anonymous']}"


def check_strings(pid, regions):
    """Arguments and environment are as long as the kernel says, where the program has not overwritten them."""
    for kind, file in (("arguments", "cmdline"), ("environment", "environ")):
        with open(f"/proc/{pid}/{file}", "rb") as source:
            wanted = len(source.read())
        found = sum(end - start for start, end, region in regions if region["kind"] == kind)
        assert found == wanted, f"{kind}: {found} bytes, not {wanted}"


def main():
    mallow, pid = sys.argv[1], int(sys.argv[2])
    os.kill(pid, signal.SIGSTOP)
    try:
        wait_for_stop(pid)
        output = subprocess.run([mallow, "layout", "--format", "json", str(pid)], capture_output=True, check=False)
        assert output.returncode == 0, output.stderr.decode(errors="replace")
        report = json.loads(output.stdout)
        maps, resident = list(read_maps(pid)), read_status(pid, "VmRSS")
        smaps = {} if "--fast" in sys.argv else read_smaps(pid)
    finally:
        os.kill(pid, signal.SIGCONT)
    regions = [(int(region["start"], 16), int(region["end"], 16), region) for region in report["regions"]]
    check_cover(maps, regions)
    total = sum(region["resident"] for _, _, region in regions)
    assert total == resident == report["kernelResident"] == report["total"]["resident"], f"resident: {total}, not {resident}"
    assert sum(end - start for start, end, _ in regions) == report["total"]["virtual"]
    check_sums(maps, regions, smaps)
    if "--strings" in sys.argv:
        check_strings(pid, regions)
    kinds = {region["kind"] for _, _, region in regions}
    missing = {"text", "rodata", "data", "bss", "stack", "auxv", "arguments", "environment", "vdso", "vvar", "vsyscall"} - kinds
    if "--32" in sys.argv:
        missing -= {"vsyscall"}
    assert not missing, f"no region of kind {missing}"
    print(f"{len(regions)} regions, {total} bytes resident")


main()
