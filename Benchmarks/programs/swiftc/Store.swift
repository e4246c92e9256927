// A store of records behind protocols, with indexes found by key path, and an actor that serves it.
// SPDX-License-Identifier: Apache-2.0

protocol Record: Identifiable, Hashable, Sendable where ID: Comparable & Sendable {
  associatedtype Summary: CustomStringConvertible
  var summary: Summary { get }
}

struct Customer: Record {
  var id: Int
  var name: String
  var city: String?
  var summary: String { city.map { "\(name) of \($0)" } ?? name }
}

struct Purchase: Record {
  var id: String
  var customer: Customer.ID
  var items: [String: Double]
  var summary: Double { items.values.reduce(0, +) }
}

struct Index<Element: Record, Key: Hashable & Sendable>: Sendable {
  let path: KeyPath<Element, Key> & Sendable
  private(set) var places: [Key: Set<Element.ID>] = [:]

  init(_ path: KeyPath<Element, Key> & Sendable) { self.path = path }

  mutating func add(_ element: Element) { places[element[keyPath: path], default: []].insert(element.id) }

  mutating func remove(_ element: Element) {
    let key = element[keyPath: path]
    places[key]?.remove(element.id)
    if places[key]?.isEmpty == true { places[key] = nil }
  }
}

final class Query<Element: Record> {
  private var steps: [(AnySequence<Element>) -> AnySequence<Element>] = []

  func filter(_ belongs: @escaping (Element) -> Bool) -> Query {
    steps.append { AnySequence($0.lazy.filter(belongs)) }
    return self
  }

  func sorted<Key: Comparable>(by path: KeyPath<Element, Key>) -> Query {
    steps.append { AnySequence($0.sorted { $0[keyPath: path] < $1[keyPath: path] }) }
    return self
  }

  func limit(_ count: Int) -> Query {
    steps.append { AnySequence($0.prefix(count)) }
    return self
  }

  func run(_ elements: some Sequence<Element>) -> [Element] { Array(steps.reduce(AnySequence(elements)) { $1($0) }) }
}

actor Store<Element: Record> {
  private var elements: [Element.ID: Element] = [:]
  private var index: Index<Element, Int>

  init(_ path: KeyPath<Element, Int> & Sendable) { index = Index(path) }

  func add(_ new: [Element]) {
    for element in new {
      if let old = elements.updateValue(element, forKey: element.id) { index.remove(old) }
      index.add(element)
    }
  }

  func summaries(for key: Int) -> [String] {
    (index.places[key] ?? []).sorted().compactMap { elements[$0].map { "\($0.summary)" } }
  }

  func grouped<Key: Hashable & Comparable>(by path: sending KeyPath<Element, Key>) -> [String] {
    Dictionary(grouping: elements.values) { $0[keyPath: path] }
      .sorted { $0.key < $1.key }
      .map { key, group in "\(key): \(group.sorted { $0.id < $1.id }.map { "\($0.summary)" }.joined(separator: "; "))" }
  }
}
