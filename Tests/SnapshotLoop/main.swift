// Takes snapshots of one process without end: a test kills it in the middle.
// SPDX-License-Identifier: Apache-2.0
import Glibc
import ProcessImage

guard CommandLine.arguments.count == 2, let process = Int32(CommandLine.arguments[1]) else { exit(64) }
while true {
  do {
    let snapshot = try Snapshot.take(of: process)
    guard snapshot.method == .fork else {
      print("copied because \(snapshot.copyReason)")
      exit(1)
    }
    snapshot.close()
  } catch {
    print(error)
    exit(2)
  }
}
