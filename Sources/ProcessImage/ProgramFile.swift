// Finds a program's file and checks, before it is started, that the allocator can be loaded into it.
// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc

/// A program that `libmallow.so` can be preloaded into.
public struct ProgramFile: Equatable, Sendable {
  /// The file that is executed: a binary or a script.
  public let path: String
  /// The ELF file that the kernel loads for it: the same, or the script's interpreter.
  public let binary: String

  /// Finds `name` as execvpe(3) does and checks it.
  /// - Parameter searchPath: the value of `PATH`, nil where it is not set.
  /// - Throws: ``ProgramError``.
  public init(finding name: String, searchPath: String?) throws(ProgramError) {
    path = try Self.find(name, searchPath: searchPath)
    binary = try Self.binary(of: path, searchPath: searchPath)
    try Self.checkPrivileges(of: binary)
  }

  private static func find(_ name: String, searchPath: String?) throws(ProgramError) -> String {
    if name.contains("/") {
      if let problem = problem(with: name) { throw problem }
      return name
    }
    guard !name.isEmpty else { throw .notFound(name) }
    var found: ProgramError?
    for folder in (searchPath ?? "/bin:/usr/bin").split(separator: ":", omittingEmptySubsequences: false) {
      let path = folder.isEmpty ? name : "\(folder)/\(name)"
      switch problem(with: path) {
      case nil: return path
      case .notFound: continue
      case let problem?: found = found ?? problem
      }
    }
    throw found ?? .notFound(name)
  }

  private static func problem(with path: String) -> ProgramError? {
    var information = stat()
    guard stat(path, &information) == 0 else {
      return errno == EACCES ? .notExecutable(path) : .notFound(path)
    }
    if information.st_mode & S_IFMT == S_IFDIR { return .isDirectory(path) }
    guard information.st_mode & S_IFMT == S_IFREG, access(path, X_OK) == 0 else { return .notExecutable(path) }
    return nil
  }

  /// Follows scripts to the binary that runs them.
  private static func binary(of path: String, searchPath: String?) throws(ProgramError) -> String {
    var current = path
    // The kernel follows five interpreters at most.
    for _ in 0..<6 {
      // A program that may be executed but not read can't be checked; the loader will tell.
      guard let start = ProcFiles.read(current, limit: 1 << 16) else { return current }
      if start.starts(with: [0x7f, UInt8(ascii: "E"), UInt8(ascii: "L"), UInt8(ascii: "F")]) {
        try ELFHeader(start, path: current).check()
        return current
      }
      guard let interpreter = try Self.interpreter(start, searchPath: searchPath) else {
        // execvpe(3) gives a file of an unknown format to the shell.
        current = "/bin/sh"
        continue
      }
      if problem(with: interpreter) != nil { throw .interpreterMissing(current, interpreter) }
      current = interpreter
    }
    throw .interpreterMissing(path, current)
  }

  /// The program in a script's first line; that which env(1) would run, if it is env. Nil where there is no such line.
  private static func interpreter(_ start: [UInt8], searchPath: String?) throws(ProgramError) -> String? {
    guard start.starts(with: [UInt8(ascii: "#"), UInt8(ascii: "!")]) else { return nil }
    let line = String(decoding: start.dropFirst(2).prefix(254).prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self)
    let words = line.split { $0 == " " || $0 == "\t" }
    guard let first = words.first else { return nil }
    guard first == "env" || first.hasSuffix("/env") else { return String(first) }
    guard let program = words.dropFirst().first(where: { !$0.hasPrefix("-") && !$0.contains("=") }) else {
      return String(first)
    }
    return try find(String(program), searchPath: searchPath)
  }

  /// The loader ignores LD_PRELOAD where a program gains rights by being executed (ld.so(8), secure-execution mode).
  private static func checkPrivileges(of path: String) throws(ProgramError) {
    var information = stat()
    guard stat(path, &information) == 0 else { return }
    if information.st_mode & S_ISUID != 0, information.st_uid != getuid() {
      throw .setsUser(path, owner: information.st_uid)
    }
    if information.st_mode & S_ISGID != 0, information.st_mode & S_IXGRP != 0, information.st_gid != getgid() {
      throw .setsGroup(path, group: information.st_gid)
    }
    if getuid() != 0, getxattr(path, "security.capability", nil, 0) > 0 { throw .hasCapabilities(path) }
  }
}

/// Why a program can't run on Mallow's allocator. Its description is one plain sentence.
public enum ProgramError: Error, Equatable, CustomStringConvertible {
  case notFound(String)
  case isDirectory(String)
  case notExecutable(String)
  case is32Bit(String)
  /// `machine` is the ELF header's `e_machine`.
  case otherArchitecture(String, machine: UInt16)
  case isStatic(String)
  case isStaticPIE(String)
  case isLibrary(String)
  case isDamaged(String)
  case otherLoader(String, loader: String)
  case interpreterMissing(String, String)
  case setsUser(String, owner: UInt32)
  case setsGroup(String, group: UInt32)
  case hasCapabilities(String)

  public var description: String {
    switch self {
    case .notFound(let name):
      "\(name.isEmpty ? "The program" : name) was not found\(name.contains("/") ? "" : " in PATH")."
    case .isDirectory(let path):
      "\(path) is a directory, not a program."
    case .notExecutable(let path):
      "\(path) is not executable: check its permissions (chmod +x)."
    case .is32Bit(let path):
      "\(path) is a 32-bit program; Mallow's allocator is for 64-bit ones."
    case .otherArchitecture(let path, let machine):
      "\(path) is a program for another processor\(Self.name(of: machine)); Mallow's allocator is for x86-64."
    case .isStatic(let path):
      "\(path) is statically linked, so no library can be preloaded into it: link it dynamically, or link libmallow.a into it."
    case .isStaticPIE(let path):
      "\(path) is statically linked (static-pie), so no library can be preloaded into it: link it dynamically, or link "
        + "libmallow.a into it."
    case .isLibrary(let path):
      "\(path) is a shared library, not a program."
    case .isDamaged(let path):
      "\(path) is not a program that the kernel can load: its ELF header is damaged."
    case .otherLoader(let path, let loader):
      "\(path) is made for the loader \(loader), not for that of glibc, which libmallow.so needs."
    case .interpreterMissing(let path, let interpreter):
      "The interpreter \(interpreter) of \(path) is missing or not executable."
    case .setsUser(let path, let owner):
      "\(path) runs as user \(owner) (set-user-ID), and the loader preloads no library then: run mallow as that user."
    case .setsGroup(let path, let group):
      "\(path) runs as group \(group) (set-group-ID), and the loader preloads no library then: run mallow as that group."
    case .hasCapabilities(let path):
      "\(path) has file capabilities, and the loader preloads no library then: run mallow as root."
    }
  }

  private static func name(of machine: UInt16) -> String {
    switch Int32(machine) {
    case EM_AARCH64: " (AArch64)"
    case EM_ARM: " (ARM)"
    case EM_RISCV: " (RISC-V)"
    case EM_PPC64: " (PowerPC)"
    case EM_S390: " (S/390)"
    default: ""
    }
  }
}
