// Residency of real memory, by each source that the kernel offers.
// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

@testable import ProcessImage

@Suite struct ResidencyTests {
  private let page: UInt64 = 4096

  /// Memory of this process in which some pages were written, one was only read, and the rest was never touched.
  private final class Sample {
    let start: Address
    let size: UInt64 = 64 << 20
    private let memory: UnsafeMutableRawPointer

    init() throws {
      // Between inaccessible pages, so that the kernel does not merge it with what other tests map.
      let whole = try #require(
        mmap(nil, Int(size) + 8192, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
          .flatMap { $0 == MAP_FAILED ? nil : $0 })
      memory = whole + 4096
      mprotect(memory, Int(size), PROT_READ | PROT_WRITE)
      start = Address(UInt64(UInt(bitPattern: memory)))
      madvise(memory, Int(size), MADV_NOHUGEPAGE)
      for page in [0, 1, 2, 9000, (64 << 8) - 1] { memory.storeBytes(of: 1, toByteOffset: page << 12, as: UInt8.self) }
      #expect(memory.load(fromByteOffset: 100 << 12, as: UInt8.self) == 0)
    }

    deinit { munmap(memory - 4096, Int(size) + 8192) }

    var range: Range<Address> { start..<start + size }
    var mappings: [Mapping] {
      [Mapping(start: start, end: start + size, isReadable: true, isWritable: true, isExecutable: false, isShared: false)]
    }
  }

  @Test func countsPagesOfEachState() throws {
    let sample = try Sample()
    let residency = try Residency(process: getpid(), mappings: sample.mappings)
    let counts = residency.counts(in: sample.range)
    #expect(counts.resident == 5 * page)
    #expect(counts.dirty == 5 * page)
    #expect(counts.zero == page)
    #expect(counts.untouched == sample.size - 6 * page)
    #expect(residency.isResident(sample.start + 2 * page))
    #expect(!residency.isResident(sample.start + 3 * page))
    #expect(!residency.isResident(sample.start + 100 * page))
  }

  @Test func partsOfPagesAddUp() throws {
    let sample = try Sample()
    let residency = try Residency(process: getpid(), mappings: sample.mappings)
    let whole = residency.counts(in: sample.range)
    var sum = PageCounts()
    var start = sample.start
    for size in [UInt64(1), 4095, 5000, 17, 40_000_000] {
      sum += residency.counts(in: start..<start + size)
      start = start + size
    }
    sum += residency.counts(in: start..<sample.range.upperBound)
    #expect(sum == whole)
  }

  @Test func bitmapsTellThePagesApart() throws {
    let sample = try Sample()
    let residency = try Residency(process: getpid(), mappings: sample.mappings)
    let bitmap = residency.residentBitmap(in: sample.range)
    #expect(bitmap.count == 256)
    #expect(bitmap[0] == 0b111)
    #expect(bitmap[9000 / 64] == 1 << UInt64(9000 % 64))
    #expect(bitmap.map(\.nonzeroBitCount).reduce(0, +) == 5)
    // A range that begins and ends within pages takes these in.
    #expect(residency.residentBitmap(in: sample.start + 4097..<sample.start + 3 * page + 1) == [0b011])
  }

  @Test func thePagemapAgreesWithTheScan() throws {
    let sample = try Sample()
    let descriptor = open("/proc/self/pagemap", O_RDONLY)
    defer { close(descriptor) }
    let scanned = try #require(Self.scan(descriptor, sample.mappings))
    let (read, isExact) = try #require(PagemapWords(descriptor).read(sample.mappings))
    #expect(scanned.map { $0.start..<$0.end } == read.map { $0.start..<$0.end })
    if isExact { #expect(scanned.map { $0.state(in: sample.mappings[0]) } == read.map { $0.state(in: sample.mappings[0]) }) }
  }

  private static func scan(_ descriptor: Int32, _ mappings: [Mapping]) -> [FoundPages]? {
    let scan = ParallelPageScan(descriptor)
    scan.add(PageScan.ranges(of: mappings[...]))
    return scan.finish()
  }

  @Test func aScanInTwoThreadsFindsAllInOrder() throws {
    let samples = try (0..<8).map { _ in try Sample() }.sorted { $0.start < $1.start }
    let descriptor = open("/proc/self/pagemap", O_RDONLY)
    defer { close(descriptor) }
    let mappings = samples.flatMap(\.mappings)
    let found = try #require(Self.scan(descriptor, mappings))
    #expect(zip(found, found.dropFirst()).allSatisfy { $0.end <= $1.start })
    let pages = Residency(runs: Residency.runs(found, mappings), source: .pageScan)
    for sample in samples { #expect(pages.counts(in: sample.range).resident == 5 * page) }
  }

  @Test func smapsGivesTheSameSums() throws {
    let sample = try Sample()
    let text = try #require(ProcFiles.read("/proc/self/smaps"))
    let mapping = try #require(MapsParser.parse(ProcFiles.read("/proc/self/maps") ?? []).first { $0.contains(sample.start) })
    let counts = Residency(runs: SmapsParser.runs(text, [mapping]), source: .smaps).counts(in: mapping.start..<mapping.end)
    let scanned = try Residency(process: getpid(), mappings: [mapping]).counts(in: mapping.start..<mapping.end)
    #expect(counts.resident == scanned.resident)
    #expect(counts.dirty == scanned.dirty)
  }

  @Test func requestsAreSmall() {
    func mapping(_ start: UInt64, _ size: UInt64) -> Mapping {
      Mapping(start: Address(start), end: Address(start + size), isReadable: true, isWritable: true, isExecutable: false, isShared: false)
    }
    #expect(PageScan.ranges(of: []).isEmpty)
    let small = (0..<5000).map { mapping(1 << 30 + $0 * 8192, 4096) }
    let ranges = PageScan.ranges(of: small[...])
    #expect(ranges.count == 20)
    #expect(ranges[0].lowerBound == 1 << 30)
    #expect(ranges[19].upperBound == 1 << 30 + 4999 * 8192 + 4096)
    let large = PageScan.ranges(of: [mapping(1 << 40, 100 << 20), mapping(1 << 41, 4096), mapping(0xffff_ffff_ff60_0000, 4096)])
    #expect(large.count == 14)
    #expect(large.allSatisfy { $0.upperBound - $0.lowerBound <= PageScan.byteLimit })
    #expect(large.last?.lowerBound == 1 << 41)
    #expect(large.last?.upperBound == 1 << 41 + 4096)
    #expect(PageScan.ranges(of: [mapping(1 << 41, 1 << 45)]).count <= 4097)
  }

  @Test func aMissingProcessIsAnError() {
    #expect(throws: ProcessError.self) { try Residency(process: 4_194_000, mappings: []) }
  }
}
