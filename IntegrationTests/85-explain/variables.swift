// A variable of each storage class; prints where each is and waits.
// SPDX-License-Identifier: Apache-2.0
import Glibc

final class Handler {
  var session: Session?
  var state = 1
}

final class Session {
  var handler: Handler
  var name = "a name that is too long for the string itself"
  init(_ handler: Handler) { self.handler = handler }
}

struct Counters {
  var requests = 1
  var errors = 2
}

struct Settings {
  static var limit = 3
  static let list = [1, 2, 3]
}

var global = Counters()
private var fileStatic = 5
let constant = 6
var zeroInitialised: (Int, Int, Int) = (0, 0, 0)
var session: Session?

func show(_ name: String, _ pointer: UnsafeRawPointer?) {
  print(name, "0x" + String(UInt(bitPattern: pointer), radix: 16))
}

@inline(never) func serve(_ request: Int) {
  var local = Counters(requests: request, errors: request)
  withUnsafeMutablePointer(to: &local.errors) { pointer in
    show("local", pointer)
    print("ready")
    fflush(stdout)
    pause()
  }
}

session = Session(Handler())
withUnsafeMutablePointer(to: &global.errors) { show("global", $0) }
withUnsafeMutablePointer(to: &fileStatic) { show("fileStatic", $0) }
withUnsafePointer(to: constant) { _ in }
withUnsafeMutablePointer(to: &zeroInitialised) { show("zeroInitialised", $0) }
withUnsafeMutablePointer(to: &Settings.limit) { show("typeStatic", $0) }
show("threadLocal", threadLocalAddress())
show("argument", CommandLine.unsafeArgv[Int(CommandLine.argc) - 1])
show("environment", getenv("EXPLAIN") - 8)
show("heap", UnsafeRawPointer(Unmanaged.passUnretained(session!.handler).toOpaque()) + 16)
let mapping = mmap(nil, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)!
memset(mapping, 1, 4096)
show("mmap", mapping)
print(Settings.list)
serve(Settings.list.count)
