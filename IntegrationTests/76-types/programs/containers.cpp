// Known numbers of blocks of known types: classes, nodes and memory of the usual containers.
// SPDX-License-Identifier: Apache-2.0
#include <cstdio>
#include <list>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <unistd.h>
#include <unordered_map>
#include <vector>

namespace net {
struct Session {
  virtual ~Session() = default;
  char *buffer = nullptr;
  long id = 7;
};
struct Encrypted : Session {
  long key = 8;
};
}  // namespace net

struct Entry {
  long key;
  Entry *next;
};

std::vector<net::Session *> sessions;
std::map<int, long> numbers;
std::set<long> keys;
std::list<long> queue;
std::unordered_map<long, long> table;
std::vector<std::string> names;
std::vector<std::shared_ptr<net::Encrypted>> shared;
Entry *entries;

int main() {
  for (long i = 0; i < 1000; i++) {
    sessions.push_back(new net::Session);
    sessions.back()->buffer = new char[2000]();
    numbers[i] = i;
    keys.insert(i * 7);
    queue.push_back(i);
    table[i] = i;
    names.push_back(std::string(100, 'n') + std::to_string(i));
    shared.push_back(std::make_shared<net::Encrypted>());
  }
  entries = new Entry{1, nullptr};
  puts("ready");
  fflush(stdout);
  for (;;) pause();
}
