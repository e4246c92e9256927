// The files behind a target's modules, opened once.
// SPDX-License-Identifier: Apache-2.0

import Glibc
import ProcessImage

/// Open executables, libraries and debug files, with their tables. Share one among the symbolizers of a run: what
/// several processes or snapshots have loaded is then read once.
public final class SymbolFiles {
  private struct Key: Hashable {
    var path: String
    var device: String
    var inode: UInt64
  }

  private var byFile: [Key: ObjectFile] = [:]
  private var byBuildID: [[UInt8]: ObjectFile] = [:]

  public init() {}

  func file(for module: Module, processID: Int32, image: (any ProcessImage)?) -> ObjectFile? {
    if module.path == "[vdso]" { return vdso(of: module, image: image) }
    let first = module.mappings[0]
    let key = Key(path: module.path, device: first.device, inode: first.inode)
    if let known = byFile[key], isLoaded(known, as: module, image: image) { return known }
    for path in candidates(for: module, processID: processID) {
      guard let file = ObjectFile(path: module.path, opening: path), isLoaded(file, as: module, image: image)
      else { continue }
      if !file.buildID.isEmpty, let known = byBuildID[file.buildID] {
        byFile[key] = known
        return known
      }
      if processID > 0 { file.debugRoots = ["/proc/\(processID)/root/usr/lib/debug", "/usr/lib/debug"] }
      byFile[key] = file
      if !file.buildID.isEmpty { byBuildID[file.buildID] = file }
      return file
    }
    return nil
  }

  /// Where the file may be found, surest first.
  private func candidates(for module: Module, processID: Int32) -> [String] {
    guard processID > 0 else { return [module.path] }
    let process = "/proc/\(processID)"
    let first = module.mappings[0]
    // map_files leads to the very file, also when it was deleted or replaced since; it needs a privilege (proc(5),
    // CAP_CHECKPOINT_RESTORE).
    let files = "\(process)/map_files/\(hexadecimal(first.start))-\(hexadecimal(first.end))"
    return [files] + (first.isDeleted ? ["\(process)/exe"] : []) + ["\(process)/root\(module.path)", module.path]
  }

  private func hexadecimal(_ address: Address) -> String { String(address.rawValue, radix: 16) }

  /// Whether a file is the one that a module was loaded from: its segments fit, and its build id is the one in
  /// memory. Where that can't be told, a file that stands in for a deleted one must be the same inode.
  private func isLoaded(_ file: ObjectFile, as module: Module, image: (any ProcessImage)?) -> Bool {
    guard let bias = module.bias(for: file) else { return false }
    if let image, let address = file.buildIDAddress, !file.buildID.isEmpty {
      let loaded = image.bytes(Address(address &+ bias), count: file.buildID.count)
      if loaded.count == file.buildID.count { return loaded == file.buildID }
    }
    return !module.mappings[0].isDeleted || file.inode == module.mappings[0].inode
  }

  /// The kernel's library in user space, which is in memory as a whole.
  private func vdso(of module: Module, image: (any ProcessImage)?) -> ObjectFile? {
    guard let image, module.mappings[0].size <= 1 << 20 else { return nil }
    let bytes = image.bytes(module.mappings[0].start, count: Int(module.mappings[0].size))
    return ObjectFile(bytes: bytes, path: module.path)
  }
}
