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

// The exported names, each an alias that the linker makes: several names share a function without a jump, and an alias has
// default visibility, where Swift's own symbols are protected, which the dynamic loader warns of.
let exported: [String: [String]] = [
  "mallow_malloc": ["malloc", "__libc_malloc"],
  "mallow_free": [
    "free", "cfree", "free_sized", "free_aligned_sized", "__libc_free", "_ZdlPv", "_ZdaPv", "_ZdlPvm", "_ZdaPvm",
    "_ZdlPvRKSt9nothrow_t", "_ZdaPvRKSt9nothrow_t", "_ZdlPvSt11align_val_t", "_ZdaPvSt11align_val_t", "_ZdlPvmSt11align_val_t",
    "_ZdaPvmSt11align_val_t", "_ZdlPvSt11align_val_tRKSt9nothrow_t", "_ZdaPvSt11align_val_tRKSt9nothrow_t",
  ],
  "mallow_calloc": ["calloc", "__libc_calloc"],
  "mallow_realloc": ["realloc", "__libc_realloc"],
  "mallow_reallocarray": ["reallocarray"],
  "mallow_posix_memalign": ["posix_memalign"],
  "mallow_memalign": ["memalign", "aligned_alloc", "__libc_memalign"],
  "mallow_valloc": ["valloc", "__libc_valloc"],
  "mallow_pvalloc": ["pvalloc", "__libc_pvalloc"],
  "mallow_malloc_usable_size": ["malloc_usable_size"],
  "mallow_malloc_trim": ["malloc_trim"],
  "mallow_mallopt": ["mallopt", "__libc_mallopt"],
  "mallow_mallinfo": ["mallinfo", "__libc_mallinfo"],
  "mallow_mallinfo2": ["mallinfo2"],
  "mallow_malloc_stats": ["malloc_stats"],
  "mallow_malloc_info": ["malloc_info"],
  "mallow_new": ["_Znwm", "_Znam"],
  "mallow_new_nothrow": ["_ZnwmRKSt9nothrow_t", "_ZnamRKSt9nothrow_t"],
  "mallow_new_aligned": ["_ZnwmSt11align_val_t", "_ZnamSt11align_val_t"],
  "mallow_new_aligned_nothrow": ["_ZnwmSt11align_val_tRKSt9nothrow_t", "_ZnamSt11align_val_tRKSt9nothrow_t"],
]
let aliases = exported.sorted { $0.key < $1.key }.flatMap { function, names in names.map { "--defsym=\($0)=\(function)" } }

func link(_ arguments: [String]) -> [String] { arguments.flatMap { ["-Xlinker", $0] } }

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
    .target(name: "CMallowNew", dependencies: ["CMallow"]),
    .target(name: "MallowAllocator", dependencies: ["CMallow"], swiftSettings: embedded),
    .target(
      name: "MallowPreload", dependencies: ["MallowAllocator", "CMallow", "CMallowNew"], exclude: ["exports.map"], swiftSettings: embedded),
    .executableTarget(
      name: "LinkShared", dependencies: ["MallowPreload"],
      linkerSettings: [
        .unsafeFlags(
          ["-enable-experimental-feature", "Embedded", "-nostartfiles", "-use-ld=lld", "-Xclang-linker", "-shared"]
            + link(
              [
                "-soname=libmallow.so", "--version-script=\(Context.packageDirectory)/Sources/MallowPreload/exports.map",
                // First of all libraries: its handlers of fork must come before those of others, which may allocate.
                "-z", "now", "-z", "initfirst",
                // Swift's debug information refers to module files that are not installed, and Valgrind refuses to read it.
                "--strip-debug",
              ] + aliases))
      ]),
    .executableTarget(
      name: "LinkStatic", dependencies: ["MallowPreload"],
      linkerSettings: [
        .unsafeFlags(
          ["-enable-experimental-feature", "Embedded", "-nostartfiles", "-use-ld=lld", "-Xclang-linker", "-nostdlib", "-Xclang-linker", "-r"]
            + link(["--no-gc-sections"] + aliases))
      ]),

    // The allocator again as ordinary Swift, by a symbolic link to the same sources, for unit tests.
    .target(
      name: "MallowAllocatorHosted", dependencies: ["CMallow"],
      swiftSettings: [.enableExperimentalFeature("AllowRuntimeSymbolDeclarations"), .swiftLanguageMode(.v5)]),

    // Outside it, lowest first
    .target(name: "CLinux"),
    .systemLibrary(name: "CElfutils", pkgConfig: "libdw", providers: [.apt(["libdw-dev"])]),
    // libdw has no demangler; libiberty has the ones for C++ and Rust. Debian builds its static library position-independent, so it goes
    // into the program as it is. Swift's demangler is in libswiftCore.
    .systemLibrary(name: "CDemangle", providers: [.apt(["libiberty-dev"])]),
    .systemLibrary(name: "CZstd", pkgConfig: "libzstd", providers: [.apt(["libzstd-dev"])]),
    .target(name: "ProcessImage", dependencies: ["CLinux", "CZstd"]),
    .target(name: "Symbols", dependencies: ["ProcessImage", "CElfutils", "CDemangle"]),
    .target(name: "Heaps", dependencies: ["CLinux", "ProcessImage", "CMallow"]),
    .target(name: "Analyses", dependencies: ["CLinux", "ProcessImage", "Symbols", "Heaps"]),
    .target(name: "Reports", dependencies: ["Analyses"]),
    .executableTarget(
      name: "mallow",
      dependencies: [
        "ProcessImage", "Symbols", "Heaps", "Analyses", "Reports",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ]),

    // Tests, fast ones first
    .testTarget(
      name: "MallowAllocatorTests", dependencies: ["MallowAllocatorHosted", "CMallow"], swiftSettings: [.swiftLanguageMode(.v5)]),
    .executableTarget(name: "SnapshotLoop", dependencies: ["ProcessImage"], path: "Tests/SnapshotLoop"),
    .testTarget(name: "ProcessImageTests", dependencies: ["ProcessImage", "CLinux", "SnapshotLoop"]),
    .testTarget(name: "SymbolsTests", dependencies: ["Symbols", "ProcessImage"]),
    .testTarget(name: "HeapsTests", dependencies: ["Heaps", "ProcessImage", "CMallow", "Support"]),
    .testTarget(name: "AnalysesTests", dependencies: ["Analyses", "Heaps", "ProcessImage", "CMallow", "Support"]),
    .testTarget(name: "ReportsTests", dependencies: ["Reports", "Analyses", "Heaps", "Symbols", "ProcessImage", "Support"]),
    .target(name: "Support", dependencies: ["Heaps", "ProcessImage", "CMallow"], path: "Tests/Support"),
  ]
)
