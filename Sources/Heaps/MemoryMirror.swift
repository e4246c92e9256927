// A local copy of a target's memory, filled as it is looked at: following millions of pointers by system calls is too slow.
// SPDX-License-Identifier: Apache-2.0
import Glibc
import ProcessImage

/// A lazily filled copy of a target's memory.
///
/// The target's address space is mirrored in pieces of 64 MiB, each a local reservation of the same size that is filled in
/// chunks of 256 KiB when one is first looked at. So memory within an aligned 64 MiB lies contiguously here too.
/// A pointer handed to a closure is valid during that call only: a later read may discard chunks to stay within `capacity`.
public final class MemoryMirror {
  static let chunkShift: UInt64 = 18
  static let chunkSize = 1 << Int(chunkShift)
  static let pieceShift: UInt64 = 26
  static let pieceSize: UInt64 = 1 << pieceShift
  static let chunksPerPiece = 1 << Int(pieceShift - chunkShift)
  static let pageShift: UInt64 = 12
  static let addressBits: UInt64 = 47

  /// The image that is mirrored.
  public let image: any ProcessImage
  /// All mappings of the image, in address order.
  public let mappings: [Mapping]
  /// Bytes copied from the target so far.
  public private(set) var bytesCopied: UInt64 = 0

  /// The parts of a range of anonymous memory that may hold anything but zeros; the rest is not read.
  let residentRanges: ((Range<Address>) -> [Range<Address>])?
  private let capacity: Int
  private let pieces: UnsafeMutablePointer<Piece?>
  private let pieceCount: Int
  private var reserved: [Int] = []
  /// Chunks in the order they were loaded, as a queue whose head is `oldest`.
  private var loaded: [UInt32] = []
  private var oldest = 0

  /// One aligned 64 MiB of the target.
  private struct Piece {
    var memory: UnsafeMutableRawPointer
    /// By chunk: a bit for each of its 64 pages (4 KiB) that was readable. Then, as 4 words, a bit for each chunk loaded.
    var masks: UnsafeMutablePointer<UInt64>

    func isLoaded(_ chunk: Int) -> Bool { masks[chunksPerPiece + chunk >> 6] >> UInt64(chunk & 63) & 1 != 0 }
    func setLoaded(_ chunk: Int, _ value: Bool) {
      let bit = UInt64(1) << UInt64(chunk & 63)
      if value { masks[chunksPerPiece + chunk >> 6] |= bit } else { masks[chunksPerPiece + chunk >> 6] &= ~bit }
    }
  }

  /// - Parameters:
  ///   - capacity: the most bytes of local memory to fill; the chunks loaded first are discarded beyond it.
  ///   - residentRanges: gives the parts of a range of anonymous memory that were ever touched. Without it all is read.
  public init(
    _ image: any ProcessImage, capacity: Int = .max, residentRanges: ((Range<Address>) -> [Range<Address>])? = nil
  ) {
    self.image = image
    mappings = image.mappings
    self.residentRanges = residentRanges
    self.capacity = max(capacity, 16 * Self.chunkSize)
    pieceCount = 1 << Int(Self.addressBits - Self.pieceShift)
    // calloc of this size is a fresh mapping: only the entries in use cost memory.
    pieces = calloc(pieceCount, MemoryLayout<Piece?>.stride)!.bindMemory(to: Piece?.self, capacity: pieceCount)
  }

  deinit {
    for index in reserved {
      guard let piece = pieces[index] else { continue }
      munmap(piece.memory, Int(Self.pieceSize))
      piece.masks.deallocate()
    }
    free(pieces)
  }

  /// The word at `address`, or nil where that memory can't be read.
  @inline(__always)
  public func word(_ address: Address) -> UInt64? {
    let value = address.rawValue
    // A word on a chunk's edge takes the slow path.
    if value & 7 == 0, let piece = piece(of: value) {
      let offset = Int(truncatingIfNeeded: value & (Self.pieceSize - 1))
      let chunk = offset >> Int(Self.chunkShift)
      if !piece.isLoaded(chunk) { fill(value >> Self.chunkShift) }
      guard piece.masks[chunk] >> (value >> Self.pageShift & 63) & 1 != 0 else { return nil }
      return piece.memory.load(fromByteOffset: offset, as: UInt64.self)
    }
    return load(address)
  }

  /// A value of `T` as it lies at `address`, or nil where not all of it can be read.
  public func load<T: BitwiseCopyable>(_ address: Address, as type: T.Type = T.self) -> T? {
    withUnsafeTemporaryAllocation(byteCount: MemoryLayout<T>.size, alignment: MemoryLayout<T>.alignment) { buffer in
      guard read(address, into: buffer) == buffer.count else { return nil }
      return buffer.load(as: T.self)
    }
  }

  /// Copies memory from `address` upward into `buffer` and returns the number of bytes that were readable.
  public func read(_ address: Address, into buffer: UnsafeMutableRawBufferPointer) -> Int {
    var copied = 0
    forEachSpan(from: address, count: UInt64(buffer.count)) { start, bytes in
      guard start == address + UInt64(copied) else { return }
      UnsafeMutableRawBufferPointer(rebasing: buffer[copied...]).copyMemory(from: bytes)
      copied += bytes.count
    }
    return copied
  }

  /// Calls `body` for each readable stretch of `count` bytes from `address` upward, in address order.
  @inline(__always)
  public func forEachSpan(from address: Address, count: UInt64, _ body: (Address, UnsafeRawBufferPointer) -> Void) {
    var position = address.rawValue
    let limit = UInt64(1) << Self.addressBits
    guard position < limit else { return }
    let end = position + min(count, limit - position)
    while position < end {
      let chunkEnd = min(end, (position >> Self.chunkShift + 1) << Self.chunkShift)
      defer { position = chunkEnd }
      guard let piece = piece(of: position) else { continue }
      let chunk = Int(position >> Self.chunkShift) & (Self.chunksPerPiece - 1)
      if !piece.isLoaded(chunk) { fill(position >> Self.chunkShift) }
      let mask = piece.masks[chunk]
      if mask == .max {
        body(Address(position), bytes(piece, position, chunkEnd))
      } else if mask != 0 {
        forEachReadableRun(mask, position, chunkEnd) { body(Address($0), bytes(piece, $0, $1)) }
      }
    }
  }

  private func forEachReadableRun(_ mask: UInt64, _ start: UInt64, _ end: UInt64, _ body: (UInt64, UInt64) -> Void) {
    var position = start
    while position < end {
      let page = position >> Self.pageShift & 63
      let readable = mask >> page & 1 != 0
      let rest = readable ? ~(mask >> page) : mask >> page
      let pages = UInt64(min(rest.trailingZeroBitCount, Int(64 - page)))
      let next = min(end, (position >> Self.pageShift + pages) << Self.pageShift)
      if readable { body(position, next) }
      position = next
    }
  }

  @inline(__always)
  private func bytes(_ piece: Piece, _ start: UInt64, _ end: UInt64) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(start: piece.memory + Int(start & (Self.pieceSize - 1)), count: Int(end - start))
  }

  /// The piece that holds an address, set up if need be; nil where the target has no mapping or the reservation fails.
  @inline(__always)
  private func piece(of value: UInt64) -> Piece? {
    let index = value >> Self.pieceShift
    guard index < UInt64(pieceCount) else { return nil }
    return pieces[Int(index)] ?? reserve(Int(index))
  }

  @inline(never)
  private func reserve(_ index: Int) -> Piece? {
    let start = UInt64(index) << Self.pieceShift
    let first = firstMapping(endingAfter: start)
    guard first < mappings.count, mappings[first].start.rawValue < start + Self.pieceSize else { return nil }
    let memory = mmap(
      nil, Int(Self.pieceSize), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
    guard let memory, memory != MAP_FAILED else { return nil }
    let masks = UnsafeMutablePointer<UInt64>.allocate(capacity: Self.chunksPerPiece + 4)
    masks.initialize(repeating: 0, count: Self.chunksPerPiece + 4)
    let piece = Piece(memory: memory, masks: masks)
    pieces[index] = piece
    reserved.append(index)
    return piece
  }

  /// Whether mappings cover all of a range without a gap.
  func isMapped(_ start: UInt64, _ count: UInt64) -> Bool {
    guard count <= UInt64.max - start else { return false }
    var index = firstMapping(endingAfter: start)
    var position = start
    while position < start + count {
      guard index < mappings.count, mappings[index].start.rawValue <= position else { return false }
      position = mappings[index].end.rawValue
      index += 1
    }
    return true
  }

  func firstMapping(endingAfter value: UInt64) -> Int {
    mappings.partitionPoint { $0.end.rawValue <= value }
  }

  /// Copies one chunk of the target; `chunk` counts chunks from address 0.
  @inline(never)
  private func fill(_ chunk: UInt64) {
    let start = chunk << Self.chunkShift
    let end = start + UInt64(Self.chunkSize)
    guard let piece = pieces[Int(start >> Self.pieceShift)] else { return }
    let inPiece = Int(chunk) & (Self.chunksPerPiece - 1)
    evictIfFull()
    piece.setLoaded(inPiece, true)
    loaded.append(UInt32(chunk))
    var mask: UInt64 = 0
    var index = firstMapping(endingAfter: start)
    while index < mappings.count, mappings[index].start.rawValue < end {
      let mapping = mappings[index]
      index += 1
      guard mapping.isReadable else { continue }
      let from = max(start, mapping.start.rawValue)
      let to = min(end, mapping.end.rawValue)
      guard from < to else { continue }
      if mapping.inode == 0, let residentRanges {
        // What was never touched reads as zeros, which is what the reservation holds already.
        setPages(&mask, from, to)
        for range in residentRanges(Address(from)..<Address(to)) {
          let low = max(from, range.lowerBound.rawValue)
          let high = min(to, range.upperBound.rawValue)
          if low < high { copy(low, high, piece, &mask) }
        }
      } else {
        copy(from, to, piece, &mask)
      }
    }
    piece.masks[inPiece] = mask
  }

  /// Copies a range within a chunk; pages that can't be read are left out of the mask.
  private func copy(_ start: UInt64, _ end: UInt64, _ piece: Piece, _ mask: inout UInt64) {
    var position = start
    while position < end {
      let count = image.read(
        Address(position),
        into: UnsafeMutableRawBufferPointer(
          start: piece.memory + Int(position & (Self.pieceSize - 1)), count: Int(end - position)))
      let read = UInt64(max(0, min(count, Int(end - position))))
      bytesCopied += read
      if position + read == end {
        setPages(&mask, position, end)
        return
      }
      let failed = (position + read) >> Self.pageShift
      setPages(&mask, position, failed << Self.pageShift)
      mask &= ~(1 << (failed & 63))
      position = (failed + 1) << Self.pageShift
    }
  }

  private func setPages(_ mask: inout UInt64, _ start: UInt64, _ end: UInt64) {
    var page = start >> Self.pageShift
    while page << Self.pageShift < end {
      mask |= 1 << (page & 63)
      page += 1
    }
  }

  private func evictIfFull() {
    guard (loaded.count - oldest + 1) * Self.chunkSize > capacity else { return }
    let chunk = Int(loaded[oldest])
    oldest += 1
    if let piece = pieces[chunk / Self.chunksPerPiece] {
      let inPiece = chunk & (Self.chunksPerPiece - 1)
      madvise(piece.memory + inPiece * Self.chunkSize, Self.chunkSize, MADV_DONTNEED)
      piece.setLoaded(inPiece, false)
      piece.masks[inPiece] = 0
    }
    // The front of the queue is cut off now and then.
    if oldest > 1 << 20 {
      loaded.removeFirst(oldest)
      oldest = 0
    }
  }
}
