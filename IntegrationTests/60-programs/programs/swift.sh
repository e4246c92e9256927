# shellcheck shell=bash
# swift build of a package of ten files, and its product.
# SPDX-License-Identifier: Apache-2.0

swift_package() {
  local folder=$1
  mkdir -p "$folder/Sources/product"
  cat >"$folder/Package.swift" <<END
// swift-tools-version: 6.0
import PackageDescription
let package = Package(name: "product", targets: [.executableTarget(name: "product")])
END
  for i in {1..9}; do
    cat >"$folder/Sources/product/Part$i.swift" <<END
final class Node$i {
  var children: [Node$i] = []
  weak var parent: Node$i?
  var name: String
  init(_ name: String) { self.name = name }
  func add(_ count: Int) -> Node$i {
    for i in 0..<count {
      let child = Node$i("\(name).\(i)")
      child.parent = self
      children.append(child)
    }
    return self
  }
}

func part$i() async -> Int {
  let sums = await withTaskGroup(of: Int.self) { group in
    for task in 0..<8 {
      group.addTask {
        var words: [String: [Int]] = [:]
        for i in 0..<5000 { words["word \(i * $i % 701)", default: []].append(i + task) }
        let tree = Node$i("root").add(200)
        for child in tree.children { _ = child.add(10) }
        return words.values.reduce(0) { \$0 + \$1.count } + tree.children.reduce(0) { \$0 + \$1.name.utf8.count + \$1.children.count }
      }
    }
    return await group.reduce(0, +)
  }
  return sums
}
END
  done
  {
    echo '@main struct Product {'
    echo '  static func main() async {'
    for i in {1..9}; do echo "    print(await part$i())"; done
    echo '  }'
    echo '}'
  } >"$folder/Sources/product/Main.swift"
}

swift_product() { "${run[@]}" "$work/package/.build/debug/product"; }

if command -v swift >/dev/null; then
  swift_package "$work/package"
  set_limit 400
  check "swift: swift build of a package" "${on_mallow[@]}" swift build --package-path "$work/package" &&
    compare "swift: the package's product" swift_product
  set_limit 120
else
  skip "swift" "there is no swift on the path"
fi
