// An ordered map as a balanced tree of values: generic, recursive, copied on write.
// SPDX-License-Identifier: Apache-2.0

indirect enum Tree<Key: Comparable, Value> {
  case empty
  case node(Tree, key: Key, value: Value, Tree, height: Int)

  var height: Int {
    if case .node(_, _, _, _, let height) = self { height } else { 0 }
  }

  static func join(_ left: Tree, _ key: Key, _ value: Value, _ right: Tree) -> Tree {
    .node(left, key: key, value: value, right, height: Swift.max(left.height, right.height) + 1)
  }

  static func balanced(_ left: Tree, _ key: Key, _ value: Value, _ right: Tree) -> Tree {
    switch (left, right) {
    case (.node(let a, let leftKey, let leftValue, let b, _), _) where left.height > right.height + 1:
      if a.height >= b.height { return join(a, leftKey, leftValue, join(b, key, value, right)) }
      guard case .node(let b1, let innerKey, let innerValue, let b2, _) = b else { return join(left, key, value, right) }
      return join(join(a, leftKey, leftValue, b1), innerKey, innerValue, join(b2, key, value, right))
    case (_, .node(let a, let rightKey, let rightValue, let b, _)) where right.height > left.height + 1:
      if b.height >= a.height { return join(join(left, key, value, a), rightKey, rightValue, b) }
      guard case .node(let a1, let innerKey, let innerValue, let a2, _) = a else { return join(left, key, value, right) }
      return join(join(left, key, value, a1), innerKey, innerValue, join(a2, rightKey, rightValue, b))
    default:
      return join(left, key, value, right)
    }
  }

  func inserting(_ value: Value, for key: Key) -> Tree {
    guard case .node(let left, let own, let ownValue, let right, _) = self else { return .join(.empty, key, value, .empty) }
    if key < own { return .balanced(left.inserting(value, for: key), own, ownValue, right) }
    if own < key { return .balanced(left, own, ownValue, right.inserting(value, for: key)) }
    return .join(left, key, value, right)
  }

  subscript(key: Key) -> Value? {
    guard case .node(let left, let own, let value, let right, _) = self else { return nil }
    return key < own ? left[key] : own < key ? right[key] : value
  }

  func map<Result>(_ transform: (Key, Value) throws -> Result) rethrows -> Tree<Key, Result> {
    guard case .node(let left, let key, let value, let right, let height) = self else { return .empty }
    return .node(try left.map(transform), key: key, value: try transform(key, value), try right.map(transform), height: height)
  }
}

extension Tree: Sequence {
  struct Iterator: IteratorProtocol {
    var stack: [Tree] = []

    mutating func descend(_ tree: Tree) {
      var tree = tree
      while case .node(let left, _, _, _, _) = tree {
        stack.append(tree)
        tree = left
      }
    }

    mutating func next() -> (Key, Value)? {
      guard case .node(_, let key, let value, let right, _)? = stack.popLast() else { return nil }
      descend(right)
      return (key, value)
    }
  }

  func makeIterator() -> Iterator {
    var iterator = Iterator()
    iterator.descend(self)
    return iterator
  }
}

extension Tree: ExpressibleByDictionaryLiteral {
  init(dictionaryLiteral elements: (Key, Value)...) {
    self = elements.reduce(.empty) { $0.inserting($1.1, for: $1.0) }
  }
}

extension Tree: Equatable where Value: Equatable {
  static func == (a: Tree, b: Tree) -> Bool { a.elementsEqual(b, by: ==) }
}

extension Tree: CustomStringConvertible where Key: CustomStringConvertible, Value: CustomStringConvertible {
  var description: String { "[" + map { "\($0): \($1)" }.joined(separator: ", ") + "]" }
}
