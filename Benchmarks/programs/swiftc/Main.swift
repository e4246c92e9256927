// Uses the other files' generics with several types each, so that they are specialised.
// SPDX-License-Identifier: Apache-2.0

func roots<Number: Numeric & Hashable & Sendable & LosslessStringConvertible>(
  _ text: String, _ values: Tree<String, Number>
) -> String {
  var input = text[...]
  do {
    let expression = try Expression<Number>.parser.parse(&input)
    let derivatives = expression.variables.sorted().map { expression.derivative(by: $0).simplified }
    return derivatives.map { "\($0) = \($0.evaluate(values).map { "\($0)" } ?? "?")" }.joined(separator: "\n")
  } catch {
    return "expected \(error.expected.sorted()) at \(error.rest)"
  }
}

func histogram<Key: Hashable & Comparable>(_ keys: some Sequence<Key>) -> Tree<Key, Int> {
  keys.reduce(.empty) { $0.inserting(($0[$1] ?? 0) + 1, for: $1) }
}

@main struct Shapes {
  static func main() async {
    print(roots("x^3 + 2*x*y + (x + 1)^2", ["x": 3, "y": 4] as Tree<String, Int>))
    print(roots("a^2*b + 1.5*b", ["a": 0.5, "b": 4] as Tree<String, Double>))
    print(histogram("the quick brown fox jumps over the lazy dog"))
    print(histogram([3, 1, 4, 1, 5, 9]), histogram(["a", "b", "a"]))

    let customers = Store<Customer>(\.name.count)
    let purchases = Store<Purchase>(\.customer)
    await withTaskGroup { group in
      for i in 0..<8 {
        group.addTask {
          await customers.add((0..<50).map { place in
            Customer(id: i * 50 + place, name: "customer \(place)", city: place % 3 == 0 ? nil : "city \(i)")
          })
        }
        group.addTask {
          await purchases.add((0..<90).map { Purchase(id: "p\($0)", customer: i, items: ["item \($0 % 7)": Double($0)]) })
        }
      }
    }
    print(await customers.summaries(for: 10).count, await purchases.grouped(by: \.customer).count)
    print(await customers.grouped(by: \.summary).first ?? "none", await purchases.summaries(for: 3).joined(separator: ", "))

    let query = Query<Customer>().filter { $0.city != nil }.sorted(by: \.name).limit(3)
    print(query.run((0..<20).map { Customer(id: $0, name: "n\($0 * 7 % 20)", city: $0 % 2 == 0 ? nil : "c") }).map(\.summary))

  }
}
