// A file that is heavy to compile: headers, templates and much instantiation.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <functional>
#include <map>
#include <regex>
#include <string>
#include <tuple>
#include <unordered_map>
#include <variant>
#include <vector>

template <int N> struct Shape {
  std::map<int, std::vector<std::tuple<int, std::string, double>>> rows;
  std::unordered_map<std::string, std::function<int(int)>> rules;
  std::variant<int, std::string, std::vector<int>, std::map<std::string, int>> value;
  int run(int seed) {
    for (int i = 0; i < N; i++) {
      rows[i % 7].emplace_back(seed + i, std::to_string(i), i / 3.0);
      rules[std::to_string(i)] = [=](int x) { return x * N + i + seed; };
    }
    int sum = 0;
    for (auto &[key, list] : rows) {
      std::sort(list.begin(), list.end(), [](auto &a, auto &b) { return std::get<1>(a) < std::get<1>(b); });
      for (auto &[a, b, c] : list) sum += a + int(b.size()) + int(c) + rules[b](key);
    }
    value = std::vector<int>(size_t(N), sum);
    return std::visit([&](auto &v) { return int(sizeof v) + sum; }, value);
  }
};

template <int... N> int all(std::integer_sequence<int, N...>, int seed) { return (Shape<N>().run(seed) + ... + 0); }

int heavy(int seed, const std::string &text) {
  static const std::regex words("([a-z]+)=([0-9]+(\\.[0-9]+)?)");
  return all(std::make_integer_sequence<int, 24>(), seed)
    + int(std::distance(std::sregex_iterator(text.begin(), text.end(), words), std::sregex_iterator()));
}
