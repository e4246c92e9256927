# Work for Python's memory: containers, strings, threads, exceptions, generators, JSON, regular expressions, compression.
# SPDX-License-Identifier: Apache-2.0
import collections, concurrent.futures, gc, hashlib, json, re, sys, zlib

count = int(sys.argv[1])


def work(seed):
    state, table, queue = seed, collections.defaultdict(list), collections.deque(maxlen=500)
    for i in range(count):
        state = (state * 6364136223846793005 + 1442695040888963407) % (1 << 64)
        key = f"key {state >> 50}"
        table[key].append((i, state % 1000, str(state)))
        queue.append(bytearray(state % 3000))
        if len(table) > 5000:
            table.pop(next(iter(table)))
        try:
            if state % 97 == 0:
                raise ValueError(key)
        except ValueError as error:
            table[str(error)] = []
    text = json.dumps(table, sort_keys=True)
    again = json.loads(text)
    words = re.findall(r"[0-9]+", text)
    packed = zlib.compress(text.encode())
    assert zlib.decompress(packed).decode() == text
    return len(again), len(words), hashlib.sha256(text.encode()).hexdigest()


with concurrent.futures.ThreadPoolExecutor(4) as pool:
    for result in pool.map(work, range(4)):
        print(*result)


class Node:
    def __init__(self, other):
        self.other = other


cycle = None
for i in range(count):
    cycle = Node(cycle)
    if i % 100 == 0:
        cycle = None
print(gc.collect() >= 0, sum(len(str(10**i)) for i in range(0, 3000, 7)))
