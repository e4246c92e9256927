// A file that takes a C++ compiler much memory: large headers, recursive templates, and many instantiations.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <iostream>
#include <map>
#include <optional>
#include <ranges>
#include <regex>
#include <sstream>
#include <string>
#include <tuple>
#include <unordered_map>
#include <variant>
#include <vector>

// A list of types, and what can be computed from it.
template <typename... Types> struct List {};

template <typename List, typename Type> struct Append;
template <typename... Types, typename Type> struct Append<List<Types...>, Type> { using type = List<Types..., Type>; };

template <int N> struct Tag {
  int value = N;
  auto operator<=>(const Tag &) const = default;
};

template <int N> struct Tags { using type = typename Append<typename Tags<N - 1>::type, Tag<N>>::type; };
template <> struct Tags<0> { using type = List<>; };

template <typename List> struct Any;
template <typename... Types> struct Any<List<Types...>> {
  std::variant<Types...> value;
  std::tuple<std::vector<Types>...> all;

  int visit() const {
    return std::visit([](const auto &tag) { return tag.value * int(sizeof(tag)); }, value);
  }
  void add(int count) { (std::get<std::vector<Types>>(all).resize(size_t(count)), ...); }
  size_t total() const {
    return std::apply([](const auto &...lists) { return (lists.size() + ... + 0); }, all);
  }
};

template <int N> struct Table {
  std::map<std::string, std::vector<std::optional<Tag<N>>>> rows;
  std::unordered_map<int, std::string> names;

  std::string show(int seed) {
    std::ostringstream out;
    for (int i : std::views::iota(0, N) | std::views::filter([](int i) { return i % 3 != 0; }) | std::views::take(seed)) {
      names[i] = std::to_string(i * seed);
      rows[names[i]].emplace_back(Tag<N>{i});
    }
    for (const auto &[name, tags] : rows) {
      auto values = tags | std::views::filter([](const auto &tag) { return tag.has_value(); })
        | std::views::transform([](const auto &tag) { return tag->value + N; });
      for (int value : values | std::views::reverse) out << name << '=' << value << ' ';
    }
    auto sorted = std::vector<std::pair<int, std::string>>(names.begin(), names.end());
    std::ranges::sort(sorted, std::greater{}, &std::pair<int, std::string>::second);
    for (const auto &[key, name] : sorted) out << key << name;
    return out.str();
  }
};

template <int... N> std::string tables(std::integer_sequence<int, N...>, int seed) { return (Table<N>().show(seed) + ...); }

int count_words(const std::string &text) {
  static const std::regex word(R"((\w+)\s*=\s*([0-9]+)(?:\.([0-9]+))?)", std::regex::icase | std::regex::optimize);
  int sum = 0;
  for (std::sregex_iterator match(text.begin(), text.end(), word), end; match != end; ++match) sum += std::stoi((*match)[2]);
  return sum + int(std::regex_replace(text, word, "$2").size());
}

int main(int count, char **) {
  Any<typename Tags<30>::type> any;
  any.add(count);
  std::cout << any.visit() << ' ' << any.total() << ' '
            << count_words(tables(std::make_integer_sequence<int, 2>(), count)) << '\n';
}
