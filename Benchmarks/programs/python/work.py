# Work for Python's memory: a shop with customers, orders, an index of words, reports in JSON, and a simulation.
# SPDX-License-Identifier: Apache-2.0
import heapq
import json
import random
import sys
from collections import Counter, defaultdict
from dataclasses import asdict, dataclass, field


@dataclass
class Item:
    name: str
    price: float
    tags: list


@dataclass
class Order:
    number: int
    customer: str
    items: list = field(default_factory=list)

    def total(self):
        return round(sum(item.price for item in self.items), 2)


def orders(count):
    words = ["".join(random.choices("abcdefghijklmnopqrstuvwxyz", k=random.randint(3, 12))) for _ in range(3000)]
    for number in range(count):
        order = Order(number, f"{random.choice(words)} {random.choice(words)}")
        for _ in range(random.randint(1, 5)):
            tags = random.sample(words, random.randint(0, 3))
            order.items.append(Item(" ".join(random.choices(words, k=2)), random.randint(1, 99999) / 100, tags))
        yield order


def index(shop):
    places = defaultdict(set)
    for order in shop:
        for item in order.items:
            for word in item.name.split() + item.tags:
                places[word[:4]].add((order.number, word))
    return places


def simulate(steps):
    events, log = [], Counter()
    for step in range(steps):
        heapq.heappush(events, (random.random() + step, f"event {step % 1000}", {"step": step}))
        if len(events) > 5000:
            _, name, details = heapq.heappop(events)
            log[name] += details["step"] % 7
    return log


random.seed(42)
count = int(sys.argv[1])
shop = list(orders(count))
text = json.dumps([asdict(order) for order in shop[: count // 2]], indent=1)
again = json.loads(text)
print(len(again), len(text), sum(order["number"] for order in again))

places = index(shop)
longest = sorted(places.items(), key=lambda entry: (-len(entry[1]), entry[0]))
print([(prefix, len(found)) for prefix, found in longest[:5]])

best = sorted(shop, key=lambda order: (-order.total(), order.customer))[:5]
print([(order.number, order.total()) for order in best])

log = simulate(count * 3)
print(log.most_common(3), sum(log.values()))
