// All that regions are made from. A command gathers it from a process or a core file; a test makes it up.
// SPDX-License-Identifier: Apache-2.0
import ProcessImage

/// What is known of a target's address space. Only the mappings are needed; whatever else is missing makes the picture coarser.
public struct AddressSpaceFacts: Sendable {
  /// A thread, and where its stack is.
  public struct Thread: Hashable, Sendable {
    public var threadID: Int32
    public var name: String
    /// Nil where it is not known.
    public var stackPointer: Address?
    /// The whole block that the stack was made in, its guard included; nil where it is not known.
    public var stackBlock: Range<Address>?

    public init(threadID: Int32, name: String = "", stackPointer: Address? = nil, stackBlock: Range<Address>? = nil) {
      self.threadID = threadID
      self.name = name
      self.stackPointer = stackPointer
      self.stackBlock = stackBlock
    }
  }

  /// Memory that an allocator knows the meaning of.
  public struct NamedRange: Hashable, Sendable {
    public var range: Range<Address>
    public var kind: AddressSpace.Kind
    public var name: String

    public init(_ range: Range<Address>, kind: AddressSpace.Kind = .heap, name: String) {
      self.range = range
      self.kind = kind
      self.name = name
    }
  }

  /// In address order, without overlaps.
  public var mappings: [Mapping]
  public var residency: Residency?
  public var modules: [LoadedModule] = []
  /// The main thread is first.
  public var threads: [Thread] = []
  public var initialStack = InitialStack()
  /// Where the heap that brk(2) moves begins.
  public var heapStart: Address?
  public var auxiliaryVector: AuxiliaryVector?
  /// Allocators' memory, in any order.
  public var namedRanges: [NamedRange] = []

  public init(mappings: [Mapping], residency: Residency? = nil) {
    self.mappings = mappings
    self.residency = residency
  }

  /// The facts that an image holds itself, where its memory is read.
  /// - Parameters:
  ///   - vector: `/proc/PID/auxv`, or a core file's `NT_AUXV` note.
  ///   - readFile: reads the first bytes of a mapping's file, where the image does not hold them.
  public init(
    _ image: any ProcessImage, residency: Residency? = nil, auxiliaryVector vector: AuxiliaryVector? = nil,
    readFile: (Mapping) -> [UInt8]? = { _ in nil }
  ) {
    self.init(mappings: image.mappings, residency: residency)
    modules = LoadedModule.find(in: mappings, read: { image.read($0, into: $1) }, readFile: readFile)
    auxiliaryVector = vector
    if let vector {
      initialStack = InitialStack(
        vector, mappings: mappings, touched: { image.touchedRanges(in: $0) }, read: { image.read($0, into: $1) })
    }
    threads = image.threads.map {
      Thread(threadID: $0.threadID, name: $0.name, stackPointer: $0.stackPointer == Address(0) ? nil : $0.stackPointer)
    }
    findStackBlocks(threadPointers: image.threads.map(\.threadPointer), read: { image.read($0, into: $1) })
  }

  /// Takes over what /proc tells of a process: where the heap starts, and the strings on the main stack.
  public mutating func add(_ facts: ProcessFacts) {
    heapStart = facts.heapStart
    if auxiliaryVector == nil { auxiliaryVector = facts.auxiliaryVector }
    if let arguments = facts.arguments { initialStack.arguments = arguments }
    if let environment = facts.environment { initialStack.environment = environment }
  }
}
