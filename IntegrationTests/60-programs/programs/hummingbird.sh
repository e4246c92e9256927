# shellcheck shell=bash
# A Hummingbird server, which is SwiftNIO, under load. Full runs only: it takes minutes to build.
# SPDX-License-Identifier: Apache-2.0

# The folder must not be named like a dependency, or that is not found.
hummingbird_package() {
  local folder=$1
  mkdir -p "$folder/Sources/server"
  cat >"$folder/Package.swift" <<END
// swift-tools-version: 6.0
import PackageDescription
let package = Package(
  name: "server", platforms: [.macOS(.v14)],
  dependencies: [.package(url: "https://github.com/hummingbird-project/hummingbird", exact: "2.28.1")],
  targets: [.executableTarget(name: "server", dependencies: [.product(name: "Hummingbird", package: "hummingbird")])])
END
  cat >"$folder/Sources/server/Main.swift" <<END
import Hummingbird

@main struct Server {
  static func main() async throws {
    let router = Router()
    router.get("text/:size") { _, context in
      String(repeating: "text ", count: try context.parameters.require("size", as: Int.self))
    }
    router.post("count") { request, _ in
      let body = try await request.body.collect(upTo: 10_000_000)
      return "\(body.readableBytes) \(body.readableBytesView.reduce(0) { (\$0 &* 31 &+ Int(\$1)) % 1_000_003 })"
    }
    let port = Int(CommandLine.arguments[1])!
    try await Application(router: router, configuration: .init(address: .hostname("127.0.0.1", port: port))).runService()
  }
}
END
}

hummingbird_run() {
  local port size
  port=$(free_port)
  serve "${run[@]}" "$work/web-server/.build/release/server" "$port"
  wait_until 20 curl -sf "http://127.0.0.1:$port/text/1" && serves_as_wanted || return
  for size in 1 100 20000; do
    curl -sf "http://127.0.0.1:$port/text/$size" | sha256sum
    load -t 2 -c 40 -d 10 "http://127.0.0.1:$port/text/$size" || return
  done
  for size in 10 100000 5000000; do
    head -c $size /dev/zero | tr '\0' 'x' | curl -sf --data-binary @- "http://127.0.0.1:$port/count"
    echo
  done
  stop
}

if [ "$quick" = 1 ]; then
  skip "hummingbird" "takes minutes to build: full runs only"
elif ! command -v swift >/dev/null; then
  skip "hummingbird" "there is no swift on the path"
else
  hummingbird_package "$work/web-server"
  set_limit 1800
  check "hummingbird: built" "${plain[@]}" swift build -c release --package-path "$work/web-server" &&
    compare "hummingbird: answers and load" hummingbird_run
  set_limit 120
fi
