// A Swift program whose only leaks are ten pairs of objects: weak references, enums of several payloads, existentials, strings, dictionaries.
// SPDX-License-Identifier: Apache-2.0
import Glibc

final class Node {
  weak var parent: Node?
  unowned var root: Node?
  var children: [Node] = []
  let name: String
  init(_ name: String) { self.name = name }
}

final class A { var text = "a string that is too long to be stored in place, \(Int.random(in: 0...9))" }
final class B { var numbers = [1, 2, 3] }
final class C { var more: [String: Int] = [:] }

enum Choice {
  case a(A), b(B), c(C), node(Node)
  case none
}

indirect enum Tree {
  case leaf(Int)
  case fork(Tree, Tree)
}

protocol Shape: AnyObject { var area: Double { get } }
final class Circle: Shape { var area = 1.0 }
protocol Named { var name: String { get } }
struct Long: Named {
  var name: String
  var a = 1, b = 2, c = 3, d = 4
}

final class Lost {
  var partner: Lost?
  var number = Int.random(in: 0...9)
}

final class Holder {
  var choices: [Choice] = []
  var optionals: [Choice?] = []
  var shapes: [any Shape] = []
  var named: [any Named] = []
  var anything: [Any] = []
  var strings: [String] = []
  var table: [String: Choice] = [:]
  var tree = Tree.leaf(0)
  var closures: [() -> Int] = []
  var nodes: [Node] = []
  var result: Result<A, any Error> = .success(A())
}

struct Broken: Error { var why: String }

nonisolated(unsafe) var holder = Holder()

@inline(never) func fill() {
  let root = Node("root")
  holder.nodes.append(root)
  for i in 0..<200 {
    let child = Node("child with a rather long name, number \(i)")
    child.parent = root
    child.root = root
    root.children.append(child)
    let choice: Choice = [.a(A()), .b(B()), .c(C()), .node(Node("\(i)")), .none][i % 5]
    holder.choices.append(choice)
    holder.optionals.append(i % 3 == 0 ? nil : .b(B()))
    holder.shapes.append(Circle())
    holder.named.append(Long(name: "the name of number \(i), which is long"))
    holder.anything.append(i % 2 == 0 ? A() as Any : "a string, number \(i), of some length" as Any)
    holder.strings.append(String(repeating: "x", count: 40 + i))
    holder.table["key \(i) that does not fit in place"] = .c(C())
    let object = B()
    holder.closures.append { object.numbers[0] + i }
    if case .fork(let left, _) = holder.tree { holder.tree = .fork(.fork(left, .leaf(i)), .leaf(i)) } else { holder.tree = .fork(.leaf(i), .leaf(i)) }
  }
  holder.result = .failure(Broken(why: "a reason that is longer than a small string"))
}

@inline(never) func lose() {
  for _ in 0..<10 {
    let (one, other) = (Lost(), Lost())
    one.partner = other
    other.partner = one
  }
}

@inline(never) func scrub() { withUnsafeTemporaryAllocation(byteCount: 65536, alignment: 16) { for i in $0.indices { $0[i] = 0 } } }

fill()
lose()
scrub()
print("ready")
fflush(nil)
while true { pause() }
