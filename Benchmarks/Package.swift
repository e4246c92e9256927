// swift-tools-version: 6.2
// SPDX-License-Identifier: Apache-2.0
import PackageDescription

// Turns what Benchmarks/run measured into tables.
let package = Package(name: "benchmarks", targets: [.executableTarget(name: "report")])
