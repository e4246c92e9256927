#!/usr/bin/env python3
"""Shows truncated and bit-flipped files: damage.py MALLOW COUNT FILE…

Each must end with a report or with one line that says what is wrong, within seconds. What fails is kept as damaged-SEED.
"""
# SPDX-License-Identifier: Apache-2.0
import random
import subprocess
import sys


def damaged(whole, seed):
    generator = random.Random(seed)
    data = bytearray(whole)
    headers = min(len(data), 1024)
    if seed % 3 == 0:
        del data[generator.randrange(len(data)):]
    for _ in range(generator.choice((0, 1, 4, 30)) if seed % 3 == 0 else generator.choice((1, 4, 30))):
        # Mostly where the headers are: at the start, and at the end, where the table of sections is.
        place = generator.choice((generator.randrange(headers), len(data) - 1 - generator.randrange(min(len(data), 2600) or 1)))
        if 0 <= place < len(data):
            data[place] = generator.choice((0, 0xFF, 0x7F, 0x80, generator.randrange(256)))
    return bytes(data)


def main():
    mallow, count = sys.argv[1], int(sys.argv[2])
    reports = 0
    for path in sys.argv[3:]:
        with open(path, "rb") as file:
            whole = file.read()
        for seed in range(count):
            with open("damaged", "wb") as file:
                file.write(damaged(whole, seed))
            output = subprocess.run(
                [mallow, "layout", "--format", "json" if seed % 2 else "text", "damaged"], capture_output=True, timeout=20, check=False)
            lines = output.stderr.count(b"\n")
            reports += output.returncode == 0
            good = output.returncode == 0 and lines == 0 or output.returncode == 2 and lines == 1
            if not good:
                with open(f"damaged-{seed}", "wb") as file:
                    file.write(damaged(whole, seed))
            assert good, f"{path}, seed {seed}: exit code {output.returncode}, {output.stderr[-300:]}"
    assert reports > count, "hardly any file was shown: the damage was too great to test anything"
    print(f"{reports} reports")


main()
