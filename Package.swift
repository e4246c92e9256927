// swift-tools-version: 6.2
// SPDX-License-Identifier: Apache-2.0
import PackageDescription

// The allocator is Embedded Swift: no runtime, no allocation, no exclusivity checks. `-O` holds in debug builds too, since
// unoptimised code would call the very functions it implements.
let embedded: [SwiftSetting] = [
  .enableExperimentalFeature("Embedded"),
  .enableExperimentalFeature("AllowRuntimeSymbolDeclarations"),
  .swiftLanguageMode(.v5),
  .unsafeFlags([
    "-wmo", "-O", "-no-allocations", "-enforce-exclusivity=unchecked", "-Xfrontend", "-function-sections",
    "-Xfrontend", "-disable-stack-protector", "-Xcc", "-momit-leaf-frame-pointer", "-Xcc", "-O2",
  ]),
]

func link(_ arguments: String...) -> [String] { arguments.flatMap { ["-Xlinker", $0] } }

let package = Package(
  name: "mallow",
  products: [
    .executable(name: "mallow", targets: ["mallow"]),
    // SwiftPM gives a library product's file the product's name, which `mallow` has taken: both libraries are "executables"
    // whose file name is the product's name and whose linker flags say what they really are.
    .executable(name: "libmallow.so", targets: ["LinkShared"]),
    .executable(name: "libmallow.a", targets: ["LinkStatic"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2")
  ],
  targets: [
    // In the target process
    .target(name: "CMallow"),
    .target(name: "MallowAllocator", dependencies: ["CMallow"], swiftSettings: embedded),
    .target(name: "MallowPreload", dependencies: ["MallowAllocator", "CMallow"], swiftSettings: embedded),
    .executableTarget(
      name: "LinkShared", dependencies: ["MallowPreload"], swiftSettings: embedded + [.unsafeFlags(["-parse-as-library"])],
      linkerSettings: [
        .unsafeFlags(
          ["-nostartfiles", "-use-ld=lld", "-Xclang-linker", "-shared"]
            + link(
              "-soname=libmallow.so", "--version-script=\(Context.packageDirectory)/Sources/MallowPreload/exports.map",
              "--defsym", "LinkShared_main=0", "-z", "now"))
      ]),
    .executableTarget(
      name: "LinkStatic", dependencies: ["MallowPreload"], swiftSettings: embedded + [.unsafeFlags(["-parse-as-library"])],
      linkerSettings: [
        .unsafeFlags(
          ["-nostartfiles", "-use-ld=lld", "-Xclang-linker", "-nostdlib", "-Xclang-linker", "-r"]
            + link("--no-gc-sections", "--defsym", "LinkStatic_main=0"))
      ]),

    // Outside it, lowest first
    .target(name: "CLinux"),
    .systemLibrary(name: "CElfutils", pkgConfig: "libdw", providers: [.apt(["libdw-dev"])]),
    // libdw has no demangler; libiberty has the ones for C++ and Rust. Debian builds its static library position-independent, so it goes
    // into the program as it is. Swift's demangler is in libswiftCore.
    .systemLibrary(name: "CDemangle", providers: [.apt(["libiberty-dev"])]),
    .target(name: "ProcessImage", dependencies: ["CLinux"]),
    .target(name: "Symbols", dependencies: ["ProcessImage", "CElfutils", "CDemangle"]),
    .target(name: "Heaps", dependencies: ["ProcessImage", "CMallow"]),
    .target(name: "Analyses", dependencies: ["ProcessImage", "Symbols", "Heaps"]),
    .target(name: "Reports", dependencies: ["Analyses"]),
    .executableTarget(
      name: "mallow",
      dependencies: [
        "ProcessImage", "Symbols", "Heaps", "Analyses", "Reports",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ]),

    // Tests, fast ones first
    .testTarget(name: "ProcessImageTests", dependencies: ["ProcessImage"]),
    .testTarget(name: "SymbolsTests", dependencies: ["Symbols", "ProcessImage"]),
    .testTarget(name: "HeapsTests", dependencies: ["Heaps", "ProcessImage", "CMallow"]),
    .testTarget(name: "AnalysesTests", dependencies: ["Analyses", "Heaps", "ProcessImage"]),
  ]
)
