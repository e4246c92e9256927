// Separate debug files, as GDB and Debian's and Fedora's debug packages lay them out ("Debugging Information in
// Separate Files" in GDB's manual).
// SPDX-License-Identifier: Apache-2.0

import CElfutils
import Glibc

extension ObjectFile {
  func findDebugFile() -> ObjectFile? {
    if buildID.count > 1 {
      let digits = buildID.map { hexadecimal($0) }
      for root in debugRoots {
        let path = "\(root)/.build-id/\(digits[0])/\(digits[1...].joined()).debug"
        if let file = ObjectFile(path: path), file.buildID == buildID { return file }
      }
    }
    guard let link = debugLink else { return nil }
    let folder = String(path[..<(path.lastIndex(of: "/") ?? path.startIndex)])
    let folders = [folder, folder + "/.debug"] + debugRoots.map { $0 + folder }
    for folder in folders {
      let candidate = "\(folder)/\(link.name)"
      guard candidate != path, let file = ObjectFile(path: candidate) else { continue }
      if buildID.isEmpty || file.buildID.isEmpty ? file.checksum == link.checksum : file.buildID == buildID {
        return file
      }
    }
    return nil
  }

  /// `.gnu_debuglink`: a file name, padding to 4 bytes, a CRC-32.
  private var debugLink: (name: String, checksum: UInt32)? {
    guard let section = section(".gnu_debuglink"), let data = elf_rawdata(section.handle, nil),
      let bytes = data.pointee.d_buf
    else { return nil }
    let contents = UnsafeRawBufferPointer(start: bytes, count: data.pointee.d_size)
    guard let end = contents.firstIndex(of: 0), end > 0, (end + 4) & ~3 + 4 <= contents.count else { return nil }
    let name = String(decoding: contents[..<end], as: UTF8.self)
    guard !name.contains("/") else { return nil }
    return (name, contents.loadUnaligned(fromByteOffset: (end + 4) & ~3, as: UInt32.self))
  }

  /// CRC-32 (IEEE 802.3, reflected) of the whole file.
  private var checksum: UInt32? {
    var size = 0
    guard let bytes = elf_rawfile(elf, &size) else { return nil }
    let table = (0..<256).map { (byte: UInt32) in
      (0..<8).reduce(byte) { value, _ in value & 1 == 1 ? 0xedb8_8320 ^ (value >> 1) : value >> 1 }
    }
    var result = ~UInt32(0)
    for byte in UnsafeRawBufferPointer(start: bytes, count: size) {
      result = table[Int((result ^ UInt32(byte)) & 0xff)] ^ (result >> 8)
    }
    return ~result
  }
}

private func hexadecimal(_ byte: UInt8) -> String {
  let digits = String(byte, radix: 16)
  return digits.count == 1 ? "0" + digits : digits
}
