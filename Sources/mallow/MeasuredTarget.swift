// A target with the residency of its pages and its address space, all of one moment.
// SPDX-License-Identifier: Apache-2.0
import Analyses
import Glibc
import Heaps
import ProcessImage

/// What accounts of memory are made from.
struct MeasuredTarget {
  let target: Target
  let residency: Residency
  /// The kernel's figure in bytes; of a core file, what it holds.
  let resident: UInt64
  let space: AddressSpace
  let heap: TargetHeap
  /// Why the heap's blocks can't be told apart, in a sentence; nil where they can.
  let heapProblem: String?
  /// What the heap's memory holds; nil where its blocks can't be told apart.
  let occupancy: HeapOccupancy?
  let owners: AnonymousOwners
  let outside: OutsideCosts
  let pauseMilliseconds: Double?
  let notes: [String]

  init(_ argument: TargetArgument) throws {
    switch argument {
    case .process(let process):
      do {
        try self.init(process: process)
      } catch ProcessError.is32Bit(let process) {
        try self.init(process32Bit: process)
      } catch ProcessError.noSuchProcess(process) where access("\(process)", F_OK) == 0 {
        throw Failure("There is no process \(process); for the file of that name write ./\(process).")
      }
    case .file(let path): try self.init(core: try CoreFile(path: path))
    }
  }

  private init(process: Int32) throws {
    let (snapshot, measurement) = try Snapshot.takeMeasured(of: process)
    let opened = OpenTarget.snapshot(snapshot)
    defer { opened.close() }
    self.init(
      snapshot, measurement, heap: HeapReading(snapshot), facts: try? ProcessFacts(process: snapshot.processID),
      pauseMilliseconds: snapshot.pauseMilliseconds, notes: opened.notes)
    try opened.checkIntact()
  }

  /// Nothing can be run in a 32-bit program, so that there is no copy: it runs on after its pages were counted.
  private init(process32Bit process: Int32) throws {
    let clock = ContinuousClock()
    let start = clock.now
    let stopped = try LiveProcess(attachingTo: process, allows32Bit: true)
    defer { stopped.detach() }
    let measurement = try MemoryMeasurement(stopped)
    stopped.detach()
    let pause = start.duration(to: clock.now) / .milliseconds(1)
    let heap = HeapReading(heap: TargetHeap(unknown: MemoryMirror(stopped)), problem: "The heaps of 32-bit programs can't be read.")
    self.init(stopped, measurement, heap: heap, facts: try? ProcessFacts(process: process), pauseMilliseconds: pause, notes: [])
  }

  private init(
    _ image: any ProcessImage, _ measurement: MemoryMeasurement, heap: HeapReading, facts: ProcessFacts?, pauseMilliseconds: Double?,
    notes: [String]
  ) {
    var space = AddressSpaceFacts(image, residency: measurement.residency, auxiliaryVector: facts?.auxiliaryVector)
    if let facts { space.add(facts) }
    var notes = notes
    if !measurement.residency.isExact {
      notes.append("The kernel does not tell which pages are resident to the last one; some are counted that are not, or in another place.")
    }
    self.init(
      target: Target(processID: image.processID, executable: image.executable, allocator: .unknown),
      residency: measurement.residency, resident: measurement.resident, facts: space, heap: heap,
      outside: OutsideCosts(
        pageTables: measurement.pageTables, swapped: measurement.swapped, mappings: image.mappings.count,
        hugePages: measurement.hugePages, fileCache: ControlGroup.fileCache(of: image.processID)),
      pauseMilliseconds: pauseMilliseconds, notes: notes)
  }

  private init(core: CoreFile) throws {
    let residency = core.residency
    self.init(
      target: Target(processID: 0, executable: core.executable, allocator: .unknown), residency: residency,
      resident: residency.runs.reduce(0) { $0 &+ ($1.end - $1.start) },
      facts: AddressSpaceFacts(core, residency: residency, auxiliaryVector: AuxiliaryVector(values: core.auxiliaryVector)),
      heap: HeapReading(core), outside: OutsideCosts(mappings: core.mappings.count), pauseMilliseconds: nil,
      notes: core.notes + ["Resident is what the core file holds: without pages that are in the files they were mapped from."])
  }

  private init(
    target: Target, residency: Residency, resident: UInt64, facts: AddressSpaceFacts, heap reading: HeapReading, outside: OutsideCosts,
    pauseMilliseconds: Double?, notes: [String]
  ) {
    let heap = reading.heap
    self.target = Target(processID: target.processID, executable: target.executable, allocator: heap.allocator)
    self.residency = residency
    self.resident = resident
    space = AddressSpace(facts)
    self.heap = heap
    heapProblem = reading.problem
    self.outside = outside
    self.pauseMilliseconds = pauseMilliseconds
    self.notes = notes + reading.notes
    let pages = residency.residentRanges
    occupancy = heap.map.map { HeapOccupancy($0, resident: pages) }
    owners = facts.auxiliaryVector?.wordSize == 4 ? AnonymousOwners() : AnonymousOwners(space, pages: pages, mirror: heap.heap.mirror)
  }
}

/// A target's heap, or why there is none.
private struct HeapReading {
  var heap: TargetHeap
  var problem: String?
  var notes: [String] = []

  init(heap: TargetHeap, problem: String?) {
    self.heap = heap
    self.problem = problem
  }

  /// A heap that can't be read is no obstacle to an account of everything else.
  init(_ image: any ProcessImage) {
    do {
      let inspection = try Inspection(image)
      self.init(heap: inspection.heap, problem: inspection.missingHeap?.description)
      notes = inspection.notes
    } catch {
      self.init(heap: TargetHeap(unknown: MemoryMirror(image)), problem: "\(error)")
    }
  }
}

extension TargetHeap {
  /// The heap as stretches of memory; nil where there is none that can be read.
  fileprivate var map: (any HeapMap)? {
    if let mallow { return mallow }
    return glibc
  }
}

extension Residency {
  /// The resident pages, in address order, touching runs joined.
  var residentRanges: [Range<Address>] {
    var result: [Range<Address>] = []
    for run in runs where run.state.contains(.resident) {
      if let last = result.last, last.upperBound == run.start {
        result[result.count - 1] = last.lowerBound..<run.end
      } else {
        result.append(run.start..<run.end)
      }
    }
    return result
  }
}
