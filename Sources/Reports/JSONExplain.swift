// The report of `mallow explain` in JSON.
// SPDX-License-Identifier: Apache-2.0
import Analyses
import Heaps
import ProcessImage
import Symbols

extension JSONReport {
  public static func explain(_ explanation: Explanation) throws -> String { try encode(ExplainDocument(explanation)) }
}

extension TextReport {
  public static func explain(_ explanation: Explanation, style: Style = Style()) -> String {
    ExplainText(explanation: explanation, style: style).lines.map { $0 + "\n" }.joined()
  }
}

private struct RegionPart: Encodable {
  var start: String
  var end: String
  var kind: String
  var name: String?
  var permissions: String

  init(_ region: AddressSpace.Region) {
    start = region.start.description
    end = region.end.description
    kind = region.kind.rawValue
    name = region.name.isEmpty ? nil : region.name
    permissions = region.permissions.description
  }
}

private struct NeighbourPart: Encodable {
  var region: RegionPart
  var distance: UInt64

  init(_ neighbour: Explanation.Neighbour) {
    region = RegionPart(neighbour.region)
    distance = neighbour.distance
  }
}

private struct ThreadPart: Encodable {
  var id: Int32
  var name: String

  init(_ thread: Place.Thread) {
    id = thread.threadID
    name = thread.name
  }
}

private struct VariablePart: Encodable {
  var name: String
  var mangled: String?
  var type: String?
  var size: UInt64?
  var file: String?
  var line: Int?
  var function: String?
  var field: String?
  var fieldType: String?
  var offset: UInt64

  init(_ variable: Variable) {
    name = variable.name
    mangled = variable.rawName.isEmpty || variable.rawName == variable.name ? nil : variable.rawName
    type = variable.type
    size = variable.size
    file = variable.file
    line = variable.line
    function = variable.function
    field = variable.field
    fieldType = variable.fieldType
    offset = variable.offset
  }
}

private struct StackFramePart: Encodable {
  var depth: Int
  var function: String
  /// Inlined calls and the function they are in, innermost first.
  var functions: [FramePart]
  var isReturnAddress: Bool?

  init(_ frame: Place.CallFrame) {
    depth = frame.depth
    function = frame.function
    functions = frame.functions.map { FramePart($0) }
    isReturnAddress = frame.isReturnAddress ? true : nil
  }
}

private struct StringPart: Encodable {
  var label: String
  var value: String
  var offset: UInt64
}

private struct BlockPart: Encodable {
  var start: String
  var size: UInt64
  var requested: UInt64?
  var state: String
  /// Where glibc keeps it, if it is free.
  var freeKind: String?
  var type: String?
  var offset: UInt64
  var stack: [FramePart]?

  init(_ holder: Explanation.HeapBlock, address: Address) {
    start = holder.block.start.description
    size = holder.block.size
    requested = holder.block.requested
    state = holder.block.state.rawValue
    freeKind = holder.freeKind?.rawValue
    type = holder.type
    offset = address - holder.block.start
    stack = holder.stack?.map { FramePart($0) }
  }
}

private struct KeptByPart: Encodable {
  struct Link: Encodable {
    var start: String
    var size: UInt64
    var type: String?
    /// Where the pointer to the next block lies.
    var pointerOffset: UInt64?
    /// The field that is at that offset.
    var field: String?
  }

  /// False where nothing leads to the block.
  var reachable: Bool
  /// The root in words.
  var root: String?
  var rootKind: String?
  var rootAddress: String?
  var rootSymbol: VariablePart?
  var rootThread: ThreadPart?
  var rootRegister: String?
  var chain: [Link]?
  /// How many links are left out after the first half of them.
  var chainOmitted: Int?

  init(_ holders: Explanation.Holders) {
    switch holders {
    case .nothing: self.init(reachable: false)
    case .unaligned: self.init(reachable: true)
    case .chain(let chain): self.init(chain)
    }
  }

  private init(reachable: Bool) { self.reachable = reachable }

  private init(_ chain: Explanation.Chain) {
    self.init(reachable: true)
    root = chain.rootWords
    rootThread = (chain.root?.thread ?? chain.thread).map { ThreadPart($0) }
    switch chain.chain.root {
    case .memory(let address):
      rootKind = chain.root?.kind
      rootAddress = address.description
      rootSymbol = (chain.root?.symbol ?? chain.root?.frame?.local).map { VariablePart($0) }
    case .register(_, let name):
      rootKind = "register"
      rootRegister = name
    case .endedThread: rootKind = "thread-stack"
    case .kernel: rootKind = "kernel"
    }
    chainOmitted = chain.chain.omitted > 0 ? chain.chain.omitted : nil
    let (links, types, fields) = (chain.chain.links, chain.types, chain.fields)
    self.chain = links.indices.map {
      Link(
        start: links[$0].start.description, size: links[$0].size, type: types[$0], pointerOffset: links[$0].offset,
        field: fields[$0])
    }
  }
}

private struct ExplainDocument: Encodable {
  var schema = Reports.schema
  var command = "explain"
  var target: TargetPart
  var address: String
  var kind: String
  /// In words.
  var description: String
  var region: RegionPart?
  var module: String?
  var section: String?
  /// The name of the function or variable, thread-local and local variables included, and the bytes from its start.
  var symbol: String?
  var offset: UInt64?
  var variable: VariablePart?
  var thread: ThreadPart?
  var frame: StackFramePart?
  var string: StringPart?
  var block: BlockPart?
  var keptBy: KeptByPart?
  var below: NeighbourPart?
  var above: NeighbourPart?
  var diagnoses: [DiagnosisPart]
  var notes: [String]

  init(_ explanation: Explanation) {
    let place = explanation.place
    let named = place.symbol ?? place.frame?.local
    target = TargetPart(explanation.target)
    address = place.address.description
    kind = place.kind
    description = explanation.headline
    region = place.region.map { RegionPart($0) }
    module = place.module
    section = place.section
    symbol = named?.name
    offset = named?.offset
    variable = named.map { VariablePart($0) }
    thread = place.thread.map { ThreadPart($0) }
    frame = place.frame.map { StackFramePart($0) }
    string = place.start.map { StringPart(label: $0.label, value: $0.value, offset: $0.offset) }
    block = explanation.block.map { BlockPart($0, address: place.address) }
    keptBy = (explanation.block?.keptBy).map { KeptByPart($0) }
    below = explanation.below.map { NeighbourPart($0) }
    above = explanation.above.map { NeighbourPart($0) }
    diagnoses = explanation.diagnoses.map { DiagnosisPart($0) }
    notes = explanation.notes
  }
}
