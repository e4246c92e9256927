// What is known of one address.
// SPDX-License-Identifier: Apache-2.0
import Heaps
import ProcessImage
import Symbols

/// What lies at an address, the heap aside: `kind` says which of the parts there are.
public struct Place: Sendable {
  public struct Thread: Hashable, Sendable {
    public var threadID: Int32
    public var name: String

    public init(_ thread: ThreadState) {
      threadID = thread.threadID
      name = thread.name
    }
  }

  /// A call on a thread's stack.
  public struct CallFrame: Sendable {
    /// 0 is the innermost.
    public var depth: Int
    /// The function with the calls inlined into it, innermost first.
    public var functions: [StackFrame]
    /// The local variable or parameter at the address.
    public var local: Variable?
    /// Whether the address lies in the word that leads back to the caller.
    public var isReturnAddress: Bool
  }

  /// Where on a thread's stack an address lies, if in no frame.
  public enum StackPart: String, Sendable {
    /// Below the stack pointer: no longer in use, or not yet.
    case unused
    /// In use, but the frames there are not known.
    case inUse
    /// glibc's record of the thread, at the top of its stack.
    case controlBlock
  }

  /// A string or a word that the kernel left for the program at its start.
  public struct StartPart: Hashable, Sendable {
    /// `argv[2]`, `HOME`, `AT_RANDOM`.
    public var label: String
    /// The string, or the word.
    public var value: String
    /// Bytes from its start to the address.
    public var offset: UInt64
    /// Whether it is an environment variable.
    public var isVariable: Bool

    public init(label: String, value: String, offset: UInt64, isVariable: Bool = false) {
      self.label = label
      self.value = value
      self.offset = offset
      self.isVariable = isVariable
    }
  }

  public var address: Address
  /// The kind of the region, or `thread-local`, `unmapped`, `kernel`, `non-canonical`.
  public var kind: String
  public var region: AddressSpace.Region?
  /// The path of the executable or library that the address belongs to.
  public var module: String?
  public var section: String?
  /// The function or variable, thread-local ones included.
  public var symbol: Variable?
  /// The thread whose stack or thread-local memory it is.
  public var thread: Thread?
  public var frame: CallFrame?
  public var stackPart: StackPart?
  public var start: StartPart?

  public init(address: Address, kind: String) {
    self.address = address
    self.kind = kind
  }
}

/// What is known of an address of a target.
public struct Explanation: Sendable {
  /// The heap block that an address lies in.
  public struct HeapBlock: Sendable {
    public var block: Block
    /// What glibc keeps a block for that is not live.
    public var freeKind: GlibcHeap.FreeKind?
    public var type: String?
    /// Frames of the stack that allocated it, innermost first, where that was recorded.
    public var stack: [StackFrame]?
    /// Whether the address lies behind what the program may use, in the allocator's own part of the block.
    public var isBehind: Bool
    /// Whether anything leads to it; nil where that was not looked for.
    public var keptBy: Holders?
  }

  /// What keeps a block alive.
  public enum Holders: Sendable {
    case nothing
    /// It can be reached, but only by pointers that lie at addresses no compiler would choose; these are not followed here.
    case unaligned
    case chain(Chain)
  }

  /// A chain of pointers with what is known of its parts.
  public struct Chain: Sendable {
    public var chain: PointerChain
    /// What the root is, if it is memory.
    public var root: Place?
    /// The types of the blocks on the way.
    public var types: [String?]
    /// The names of the fields that hold the pointers, where the types tell.
    public var fields: [String?]
    /// The root's thread, if it is a register.
    public var thread: Place.Thread?
  }

  /// A region beside an unmapped address.
  public struct Neighbour: Sendable {
    public var region: AddressSpace.Region
    /// Bytes between the region and the address: from its last byte up to the address, or from the address up to its first.
    public var distance: UInt64

    public init(region: AddressSpace.Region, distance: UInt64) {
      self.region = region
      self.distance = distance
    }
  }

  public var target: Target
  /// The name that was asked for, where it was not an address.
  public var name: String?
  public var place: Place
  public var block: HeapBlock?
  /// The readable bytes at the address, at most 64.
  public var contents: [UInt8] = []
  /// What is wrong with the heap, for addresses in it.
  public var diagnoses: [Diagnosis] = []
  /// Diagnoses beyond those.
  public var furtherDiagnoses = 0
  public var below: Neighbour?
  public var above: Neighbour?
  /// What could not be found out, and why: one sentence each.
  public var notes: [String] = []

  public init(target: Target, place: Place) {
    self.target = target
    self.place = place
  }
}
