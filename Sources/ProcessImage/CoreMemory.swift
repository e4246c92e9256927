// Where each part of a core's memory is: in the core, in a file that the process had mapped, nowhere.
// SPDX-License-Identifier: Apache-2.0

/// The memory of a core file, by address.
struct CoreMemory {
  enum Source: Equatable {
    /// At this offset in the core file.
    case core(UInt64)
    /// At this offset in a file, given by its number.
    case file(Int, UInt64)
    /// Left out because it was never touched.
    case zero
    /// Left out, or cut off.
    case missing
  }

  /// A stretch of memory with one source.
  struct Extent: Equatable {
    var range: Range<Address>
    var source: Source
  }

  /// A stretch of memory that one segment and one mapped file describe.
  struct Piece {
    var range: Range<Address>
    var segment: CoreSegment?
    var file: CoreNotes.FileRange?
  }

  /// In address order, without overlaps.
  private(set) var pieces: [Piece] = []
  private(set) var extents: [Extent] = []
  private(set) var mappedFiles: [MappedFile] = []
  private(set) var fileNumbers: [CoreNotes.FileID: Int] = [:]
  /// Files that memory had to be read from and could not be.
  private(set) var unusable: [CoreNotes.FileID: (problem: MappedFile.Problem, bytes: UInt64)] = [:]

  private let core: FileContents
  private let notes: CoreNotes
  private let coreModified: Int64
  private static let openFileLimit = 256

  /// - Parameters:
  ///   - core: the file, decompressed.
  ///   - coreModified: when the file was written, in nanoseconds since 1970.
  init(_ core: FileContents, _ headers: CoreHeaders, _ notes: CoreNotes, coreModified: Int64) {
    self.core = core
    self.notes = notes
    self.coreModified = coreModified
    makePieces(headers.segments)
    let starts = fileStarts()
    for piece in pieces { addExtents(piece, starts) }
  }

  private mutating func makePieces(_ segments: [CoreSegment]) {
    let files = notes.files
    var next = 0
    var position = Address(0)
    // What a list of files names and no segment covers: gdb writes no segment for what it leaves out.
    func addUncovered(until limit: Address) {
      while next < files.count, files[next].range.lowerBound < limit {
        let start = max(files[next].range.lowerBound, position)
        let end = min(files[next].range.upperBound, limit)
        if start < end { pieces.append(Piece(range: start..<end, file: files[next])) }
        if files[next].range.upperBound > limit { return }
        next += 1
      }
    }
    for segment in segments {
      addUncovered(until: segment.range.lowerBound)
      position = segment.range.lowerBound
      while position < segment.range.upperBound {
        while next < files.count, files[next].range.upperBound <= position { next += 1 }
        guard next < files.count, files[next].range.lowerBound < segment.range.upperBound else {
          pieces.append(Piece(range: position..<segment.range.upperBound, segment: segment))
          break
        }
        let file = files[next]
        if file.range.lowerBound > position { pieces.append(Piece(range: position..<file.range.lowerBound, segment: segment)) }
        let start = max(position, file.range.lowerBound)
        position = min(file.range.upperBound, segment.range.upperBound)
        pieces.append(Piece(range: start..<position, segment: segment, file: file))
      }
      position = segment.range.upperBound
    }
    addUncovered(until: Address(1 << 47))
  }

  /// The first page of each mapped file, where the core has it: by the file's name, its place in the core.
  private func fileStarts() -> [String: UInt64] {
    var result: [String: UInt64] = [:]
    for piece in pieces {
      guard let file = piece.file, !file.isDeleted, let segment = piece.segment, file.fileOffset == 0, file.range.lowerBound == piece.range.lowerBound,
        result[file.name] == nil
      else { continue }
      let offset = piece.range.lowerBound - segment.range.lowerBound
      if offset < segment.fileSize, segment.fileSize - offset >= 4096 { result[file.name] = segment.offset + offset }
    }
    return result
  }

  private mutating func addExtents(_ piece: Piece, _ starts: [String: UInt64]) {
    var rest = piece.range
    if let segment = piece.segment {
      let skipped = rest.lowerBound - segment.range.lowerBound
      let stored = min(segment.fileSize, piece.range.upperBound - segment.range.lowerBound)
      if skipped < stored {
        let offset = segment.offset + skipped
        let present = min(stored - skipped, offset < core.size ? core.size - offset : 0)
        let end = rest.lowerBound + (stored - skipped)
        append(rest.lowerBound..<rest.lowerBound + present, .core(offset))
        append(rest.lowerBound + present..<end, .missing)
        rest = end..<rest.upperBound
      }
    }
    guard !rest.isEmpty else { return }
    guard let file = piece.file else { return append(rest, piece.segment?.isReadable == true ? .zero : .missing) }
    guard piece.segment?.isReadable ?? true else { return append(rest, .missing) }
    if !notes.maps.isEmpty, file.isDeleted || notes.fileStates[file.name] == nil {
      // Mallow leaves nothing else out of files that can't be found again.
      return append(rest, CorePlan.isSpecial(file.name) ? .missing : .zero)
    }
    guard let number = number(of: file, starts) else {
      unusable[file.id]?.bytes += rest.upperBound - rest.lowerBound
      return append(rest, .missing)
    }
    let offset = file.fileOffset + (rest.lowerBound - file.range.lowerBound)
    let size = mappedFiles[number].size.roundedUp(to: 4096)
    let present = min(rest.upperBound - rest.lowerBound, offset < size ? size - offset : 0)
    append(rest.lowerBound..<rest.lowerBound + present, .file(number, offset))
    append(rest.lowerBound + present..<rest.upperBound, .missing)
  }

  private mutating func append(_ range: Range<Address>, _ source: Source) {
    if !range.isEmpty { extents.append(Extent(range: range, source: source)) }
  }

  private mutating func number(of file: CoreNotes.FileRange, _ starts: [String: UInt64]) -> Int? {
    if let number = fileNumbers[file.id] { return number }
    if unusable[file.id] != nil { return nil }
    do throws(MappedFile.Problem) {
      if file.isDeleted { throw .isDeleted }
      var evidence = MappedFile.Evidence(state: notes.fileStates[file.name], coreModified: coreModified)
      if let start = starts[file.name] { evidence.start = core.bytes(at: start, count: 4096) }
      mappedFiles.append(try MappedFile(file.name, evidence: evidence, staysOpen: mappedFiles.count < Self.openFileLimit))
      fileNumbers[file.id] = mappedFiles.count - 1
      return mappedFiles.count - 1
    } catch {
      unusable[file.id] = (error, 0)
      return nil
    }
  }

  /// The number of the first extent that ends after an address.
  func firstExtent(endingAfter address: Address) -> Int {
    extents.partitionPoint { $0.range.upperBound <= address }
  }

  /// Reads upward from `address`. Returns the number of bytes read before what is missing.
  func read(_ address: Address, into buffer: UnsafeMutableRawBufferPointer) -> Int {
    var done = 0
    var index = firstExtent(endingAfter: address)
    while done < buffer.count, index < extents.count {
      let extent = extents[index]
      let position = address + UInt64(done)
      guard position >= address, extent.range.contains(position) else { break }
      let count = Int(min(UInt64(buffer.count - done), extent.range.upperBound - position))
      let part = UnsafeMutableRawBufferPointer(rebasing: buffer[done..<done + count])
      let offset = position - extent.range.lowerBound
      let read: Int
      switch extent.source {
      case .core(let start): read = core.read(at: start + offset, into: part)
      case .file(let number, let start): read = mappedFiles[number].read(at: start + offset, into: part)
      case .zero:
        part.initializeMemory(as: UInt8.self, repeating: 0)
        read = count
      case .missing: read = 0
      }
      done += read
      if read < count { break }
      index += 1
    }
    return done
  }

  /// The parts of a range that may hold anything but zeros.
  func touchedRanges(in range: Range<Address>) -> [Range<Address>] {
    var result: [Range<Address>] = []
    var index = firstExtent(endingAfter: range.lowerBound)
    while index < extents.count, extents[index].range.lowerBound < range.upperBound {
      let extent = extents[index]
      let part = extent.range.clamped(to: range)
      switch extent.source {
      case .zero: break
      case .core(let start):
        let offset = start + (part.lowerBound - extent.range.lowerBound)
        for stored in core.storedRanges(in: offset..<offset + (part.upperBound - part.lowerBound)) {
          let low = part.lowerBound + (stored.lowerBound - offset) & ~4095
          let high = part.lowerBound + (stored.upperBound - offset).roundedUp(to: 4096)
          result.append(low..<min(high, part.upperBound))
        }
      case .file, .missing: result.append(part)
      }
      index += 1
    }
    return result
  }
}
