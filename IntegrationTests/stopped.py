"""What the checks of stopped processes share."""
# SPDX-License-Identifier: Apache-2.0
import os


def wait_for_stop(pid):
    """Waits until every thread has stopped."""
    while True:
        states = []
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/stat", errors="replace") as file:
                states.append(file.read().rsplit(")", 1)[1].split()[0])
        if all(state in "Tt" for state in states):
            return


def resident(pid):
    """The kernel's own figure, in bytes."""
    with open(f"/proc/{pid}/status", errors="replace") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmRSS:"))
