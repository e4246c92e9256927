// Known numbers of objects of known types.
// SPDX-License-Identifier: Apache-2.0
import Glibc

class Base { var number = 1 }
final class Session: Base {
  var handler: Handler?
  var name: String = "a session with a name that takes a buffer of its own"
}
final class Handler { weak var session: Session? }
final class Box<T> {
  var value: T
  init(_ value: T) { self.value = value }
}

nonisolated(unsafe) var sessions: [Session] = []
nonisolated(unsafe) var boxes: [Box<Int>] = []
nonisolated(unsafe) var lists: [[Double]] = []
nonisolated(unsafe) var tables: [[String: Int]] = []
nonisolated(unsafe) var closures: [() -> Int] = []

@inline(never) func fill() {
  for i in 0..<500 {
    let session = Session()
    session.handler = Handler()
    session.handler!.session = session
    sessions.append(session)
    boxes.append(Box(i))
    lists.append([Double](repeating: 0, count: 10))
    tables.append(["\(i)": i])
    closures.append { session.number + i }
  }
}

fill()
print("ready")
fflush(nil)
while true { pause() }
