// C++'s containers: maps, hash tables, lists, vectors and strings that are filled, searched, changed and emptied.
// SPDX-License-Identifier: Apache-2.0
#include "synthetic.h"
#include <list>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

struct Record {
  std::string name;
  std::vector<int> values;
  std::list<std::string> notes;
};

static std::string text(struct random *random, uint32_t most) { return std::string(between(random, 1, most), 'x'); }

static void fill(int number) {
  struct random random = seeded(number);
  std::map<uint32_t, std::unique_ptr<Record>> records;
  std::unordered_map<std::string, std::vector<uint32_t>> index;
  long expected = 0, found = 0;
  for (long left = scaled(1.1e6); left > 0; left--) {
    uint32_t key = below(&random, 50000);
    auto at = records.find(key);
    if (at == records.end()) {
      auto record = std::make_unique<Record>();
      record->name = "record " + std::to_string(key) + text(&random, 40);
      for (uint32_t i = below(&random, 30); i > 0; i--) record->values.push_back((int)i);
      index[std::to_string(key % 5000) + " is a key"].push_back(key);
      records[key] = std::move(record);
      expected++;
    } else if (below(&random, 3) == 0) {
      auto &keys = index[std::to_string(key % 5000) + " is a key"];
      for (size_t i = 0; i < keys.size(); i++)
        if (keys[i] == key) {
          keys.erase(keys.begin() + (long)i);
          found++;
          break;
        }
      if (keys.empty()) index.erase(std::to_string(key % 5000) + " is a key");
      records.erase(at);
    } else {
      Record copy = *at->second;
      copy.notes.push_back(copy.name + text(&random, 100));
      if (copy.notes.size() > 4) copy.notes.pop_front();
      *at->second = std::move(copy);
    }
  }
  if (expected - found != (long)records.size()) fail("a container lost elements");
}

int main(int count, char **values) {
  begin(count, values);
  on_threads(threads, fill);
}
