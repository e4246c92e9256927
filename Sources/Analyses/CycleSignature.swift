// A cycle in words: the types along its shortest ring, and the fields that hold them together.
// SPDX-License-Identifier: Apache-2.0

/// The ring of a cycle: cycles that differ only in where one starts have equal keys.
struct CycleSignature: Hashable {
  /// A block of the ring, and the field by which it holds the next one.
  struct Step {
    var type: String
    var field: String?

    /// `Session.handler`, `Array[]`, or the type alone.
    var text: String { type + (field.map { $0.hasPrefix("[") ? $0 : ".\($0)" } ?? "") }
  }

  /// The ring for people, beginning at the lowest block: `Session.handler → Handler.session → Session`, or where no fields are
  /// known `Session ⇄ Handler` or `A → B → C → A`.
  let description: String
  /// The ring, turned so that equal rings are equal.
  let key: [String]

  /// A ring that is longer is described by its beginning.
  private static let longest = 6

  init(_ steps: [Step]) {
    let ring = steps.map(\.text)
    key = ring.indices.map { Array(ring[$0...] + ring[..<$0]) }.min { $0.lexicographicallyPrecedes($1) } ?? []
    let end = steps.first?.type ?? ""
    switch ring.count {
    case _ where steps.contains { $0.field != nil } && ring.count <= Self.longest:
      description = (ring + [end]).joined(separator: " → ")
    case 0, 1: description = "\(ring.first ?? "") → itself"
    case 2: description = "\(ring[0]) ⇄ \(ring[1])"
    case ...Self.longest: description = (ring + [ring[0]]).joined(separator: " → ")
    default: description = ring[..<Self.longest].joined(separator: " → ") + " → … → " + end
    }
  }

  /// A ring too long to be followed, through an object of type `name`.
  init(endless name: String) {
    key = [name, "…"]
    description = "\(name) → … → \(name)"
  }

  static func == (a: CycleSignature, b: CycleSignature) -> Bool { a.key == b.key }
  func hash(into hasher: inout Hasher) { hasher.combine(key) }
}

extension BlockGraph {
  /// The nodes of the shortest ring through `node` within the nodes for which `isInside` holds, beginning with it: `node` alone
  /// where there is none, and nil where it is not found among the `limit` nearest nodes.
  func shortestRing(through node: Int, limit: Int = 65536, isInside: (Int) -> Bool) -> [Int]? {
    var cameFrom: [Int: Int] = [node: node]
    var queue = [node]
    var next = 0
    while next < queue.count {
      let current = queue[next]
      next += 1
      if next > limit { return nil }
      for target in successors(of: current).lazy.map(Int.init) where isInside(target) {
        if target == node {
          var ring: [Int] = []
          var step = current
          while step != node {
            ring.append(step)
            step = cameFrom[step]!
          }
          return [node] + ring.reversed()
        }
        if cameFrom[target] == nil {
          cameFrom[target] = current
          queue.append(target)
        }
      }
    }
    return [node]
  }
}
