#!/usr/bin/env python3
"""Cuts a core file off and flips its bits, the same way in each run, and has mallow look at the result.

damage.py MALLOW CORE ROUNDS. Each time mallow must end by itself within a minute: with 0, or with 2 and one line on standard error. Where a
file is cut off it must also say so.
"""
import json
import os
import random
import subprocess
import sys


def look(mallow, path):
    try:
        done = subprocess.run([mallow, "leaks", "--format", "json", path], capture_output=True, timeout=60)
    except subprocess.TimeoutExpired:
        return "still running after 60 s", []
    if done.returncode == 2 and done.stderr.count(b"\n") == 1:
        return None, [done.stderr.decode(errors="replace")]
    if done.returncode != 0:
        return f"exit code {done.returncode}: {done.stderr[:300]!r}", []
    return None, json.loads(done.stdout)["notes"]


def main(mallow, core, rounds):
    # Holes stay holes: only what is near the beginning and single bits are changed.
    size = os.path.getsize(core)
    broken = f"broken-{core}"
    subprocess.run(["cp", "--sparse=always", core, broken], check=True)
    problems = []
    for seed in range(rounds):
        chance = random.Random(seed)
        flips = chance.randint(1, 60)
        # Headers and notes are in front, or behind in those of gdb; half of the flips go there.
        places = [chance.randrange(size) if chance.random() < 0.5 else chance.randrange(min(size, 16384)) for _ in range(flips)]
        if core.startswith("gdb") and chance.random() < 0.5:
            places += [size - 1 - chance.randrange(min(size, 20000)) for _ in range(flips)]
        with open(broken, "r+b") as file:
            saved = []
            for place in places:
                file.seek(place)
                byte = file.read(1)[0]
                saved.append((place, byte))
                file.seek(place)
                file.write(bytes([byte ^ 1 << chance.randrange(8)]))
        problem, _ = look(mallow, broken)
        if problem:
            problems.append(f"seed {seed}: {problem}")
        with open(broken, "r+b") as file:
            for place, byte in reversed(saved):
                file.seek(place)
                file.write(bytes([byte]))
    for part in [0.999, 0.9, 0.5, 0.1, 0.01, 0.001]:
        length = int(size * part)
        os.truncate(broken, length)
        problem, notes = look(mallow, broken)
        if not problem and not notes:
            problem = "nothing says so"
        if problem:
            problems.append(f"cut off at {length}: {problem}")
    for length in [100, 64, 63, 20, 4, 1]:
        os.truncate(broken, length)
        problem, notes = look(mallow, broken)
        if problem or not notes:
            problems.append(f"cut off at {length}: {problem or 'nothing says so'}")
    os.remove(broken)
    print("; ".join(problems[:5]))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
