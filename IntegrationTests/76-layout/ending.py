#!/usr/bin/env python3
"""Looks at processes that are killed at a random moment meanwhile: ending.py MALLOW PROGRAM ROUNDS"""
# SPDX-License-Identifier: Apache-2.0
import random
import subprocess
import sys
import time


def main():
    mallow, program, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3])
    generator = random.Random(1)
    ends = {0: 0, 2: 0}
    for _ in range(rounds):
        target = subprocess.Popen([program, "count", "5000"], stdout=subprocess.PIPE)
        target.stdout.readline()
        look = subprocess.Popen([mallow, "layout", str(target.pid)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        time.sleep(generator.uniform(0, 0.06))
        target.kill()
        _, errors = look.communicate(timeout=20)
        target.wait()
        assert look.returncode in ends, f"exit code {look.returncode}: {errors[-300:]}"
        assert errors.count(b"\n") == (1 if look.returncode else 0), errors[-300:]
        ends[look.returncode] += 1
    print(f"{ends[0]} reports, {ends[2]} errors")


main()
