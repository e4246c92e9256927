// Programs that tests build, run and look at.
// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import ProcessImage

/// A temporary folder with sources and what was built from them.
final class Workshop {
  let folder: URL

  init() throws {
    folder = FileManager.default.temporaryDirectory.appendingPathComponent("symbols-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(at: folder) }

  func path(_ name: String) -> String { folder.appendingPathComponent(name).path }

  func write(_ text: String, to name: String) throws {
    try text.write(to: folder.appendingPathComponent(name), atomically: true, encoding: .utf8)
  }

  /// Runs a command in the folder and returns its standard output. Throws where it fails.
  @discardableResult
  func run(_ command: String...) throws -> String { try run(command) }

  @discardableResult
  func run(_ command: [String]) throws -> String {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = command
    process.currentDirectoryURL = folder
    let output = Pipe()
    process.standardOutput = output
    process.standardInput = FileHandle.nullDevice
    try process.run()
    let data = output.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    guard process.terminationStatus == 0 else {
      throw Failure(message: "\(command.joined(separator: " ")) ended with \(process.terminationStatus)")
    }
    return String(decoding: data, as: UTF8.self)
  }

  /// Loads a library that was built here into the test's process.
  func load(_ name: String) throws -> Library {
    guard let handle = dlopen(path(name), RTLD_NOW | RTLD_LOCAL) else {
      throw Failure(message: String(cString: dlerror()))
    }
    return Library(handle: handle)
  }
}

extension Workshop {
  /// The mappings that a library would have if it was loaded at `base`.
  func mappings(ofLibrary name: String, at base: UInt64) throws -> [Mapping] {
    var mappings: [Mapping] = []
    for header in try run("readelf", "-lW", name).split(separator: "\n") {
      let fields = header.split(separator: " ")
      guard fields.first == "LOAD" else { continue }
      let numbers = fields.dropFirst().prefix(5).map { UInt64($0.dropFirst(2), radix: 16)! }
      let isExecutable = fields.dropFirst(6).dropLast().contains { $0.contains("E") }
      mappings.append(
        Mapping(
          start: Address((base + numbers[1]) & ~4095), end: Address((base + numbers[1] + numbers[4] + 4095) & ~4095),
          isReadable: true, isWritable: false, isExecutable: isExecutable, isShared: false,
          fileOffset: numbers[0] & ~4095, name: path(name)))
    }
    return mappings
  }

  /// Link-time addresses spread over a library's code.
  func codeAddresses(ofLibrary name: String, count: UInt64) throws -> [UInt64] {
    guard let text = try run("readelf", "-SW", name).split(separator: "\n").first(where: { $0.contains(" .text ") })
    else { throw Failure(message: "\(name) has no .text") }
    let fields = text.split(separator: "]")[1].split(separator: " ")
    let start = UInt64(fields[2], radix: 16)!
    let size = UInt64(fields[4], radix: 16)!
    return (0..<count).map { start + size * $0 / count }
  }
}

struct Failure: Error {
  var message: String
}

/// A loaded library. It stays loaded: its code may be on caches of other tests.
struct Library: @unchecked Sendable {
  let handle: UnsafeMutableRawPointer

  func address(_ name: String) throws -> UInt64 {
    guard let symbol = dlsym(handle, name) else { throw Failure(message: String(cString: dlerror())) }
    return UInt64(UInt(bitPattern: symbol))
  }

  /// Calls a C function without arguments that returns a word.
  func call(_ name: String) throws -> UInt64 {
    typealias Function = @convention(c) () -> UInt64
    return unsafeBitCast(UInt(try address(name)), to: Function.self)()
  }
}

/// A program that prints what the test asks for and then waits for its standard input to end.
final class RunningProgram {
  private let process = Process()
  private let input = Pipe()
  var processID: Int32 { process.processIdentifier }
  /// The words of the first line that it printed.
  let words: [String]

  init(_ path: String, _ arguments: String...) throws {
    process.executableURL = URL(fileURLWithPath: path)
    process.arguments = arguments
    let output = Pipe()
    process.standardInput = input
    process.standardOutput = output
    try process.run()
    var line = Data()
    while let byte = try output.fileHandleForReading.read(upToCount: 1), byte.first != UInt8(ascii: "\n") {
      line += byte
    }
    words = String(decoding: line, as: UTF8.self).split(separator: " ").map(String.init)
  }

  func stop() {
    try? input.fileHandleForWriting.close()
    process.waitUntilExit()
  }
}

/// The line of `text` that contains `marker`, from 1.
func line(of marker: String, in text: String) -> Int {
  (text.split(separator: "\n", omittingEmptySubsequences: false).firstIndex { $0.contains(marker) } ?? -2) + 1
}

/// glibc's; its header is not part of the `Glibc` module.
@_silgen_name("malloc_usable_size")
func malloc_usable_size(_ block: UnsafeMutableRawPointer?) -> Int
