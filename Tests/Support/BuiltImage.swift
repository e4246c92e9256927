// A process image made of plain memory, so that every reader and analysis can be tested on known contents.
// SPDX-License-Identifier: Apache-2.0
import Glibc
import ProcessImage

/// An image whose mappings and contents a test lays out.
public final class BuiltImage: ProcessImage {
  public var processID: Int32 = 4242
  public var executable = "/usr/bin/built"
  public private(set) var mappings: [Mapping] = []
  public var threads: [ThreadState] = []
  public var kernelHeldWords: [KernelHeldWord] = []
  private var memory: [Address: UnsafeMutableRawBufferPointer] = [:]
  /// Pages (by address) that can't be read although they are mapped.
  public var unreadablePages: Set<Address> = []

  public init() {}

  deinit { for buffer in memory.values { munmap(buffer.baseAddress, buffer.count) } }

  /// Adds a mapping of zeros; pages cost memory only once they are written.
  public func map(
    _ start: UInt64, size: UInt64, writable: Bool = true, readable: Bool = true, executable: Bool = false,
    shared: Bool = false, name: String = "", inode: UInt64 = 0
  ) {
    let mapping = Mapping(
      start: Address(start), end: Address(start + size), isReadable: readable, isWritable: writable,
      isExecutable: executable, isShared: shared, inode: inode, name: name)
    let pointer = mmap(nil, Int(size), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)!
    memory[mapping.start] = UnsafeMutableRawBufferPointer(start: pointer, count: Int(size))
    mappings.insert(mapping, at: mappings.firstIndex { $0.start > mapping.start } ?? mappings.count)
  }

  /// Takes a mapping away, as truncating an image would.
  public func unmap(at index: Int) { mappings.remove(at: index) }

  public func read(_ address: Address, into buffer: UnsafeMutableRawBufferPointer) -> Int {
    var copied = 0
    while copied < buffer.count {
      let position = address + UInt64(copied)
      guard let mapping = mapping(containing: position), mapping.isReadable, let bytes = memory[mapping.start] else { break }
      let page = Address(position.rawValue & ~4095)
      if unreadablePages.contains(page) { break }
      let offset = Int(position - mapping.start)
      let end = unreadablePages.isEmpty ? bytes.count : min(bytes.count, Int(page + 4096 - mapping.start))
      let count = min(buffer.count - copied, end - offset)
      UnsafeMutableRawBufferPointer(rebasing: buffer[copied..<copied + count])
        .copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + count]))
      copied += count
    }
    return copied
  }

  /// The local memory behind an address that is mapped.
  public func pointer(_ address: Address) -> UnsafeMutableRawPointer {
    let mapping = mapping(containing: address)!
    return memory[mapping.start]!.baseAddress! + Int(address - mapping.start)
  }

  public func write<T: BitwiseCopyable>(_ value: T, at address: Address) {
    withUnsafeBytes(of: value) { pointer(address).copyMemory(from: $0.baseAddress!, byteCount: $0.count) }
  }

  /// Writes words one after the other.
  public func write(words: [UInt64], at address: Address) {
    for (index, word) in words.enumerated() { write(word, at: address + UInt64(index) * 8) }
  }
}
