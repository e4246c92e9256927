// Reports for programs. The keys are part of the command's interface; new ones may be added.
// SPDX-License-Identifier: Apache-2.0
import Analyses
import FoundationEssentials
import Heaps
import Symbols

/// JSON reports (RFC 8259): one object, its keys sorted. Addresses are strings such as `"0x7f00"`, sizes plain bytes.
public enum JSONReport {
  /// - Parameter children: processes that the program started, where these were followed.
  public static func run(_ run: RunSummary, children: [RunSummary] = []) throws -> String {
    var document = RunDocument(run)
    document.children = children.isEmpty ? nil : children.map { RunDocument($0) }
    return try encode(document)
  }

  public static func leaks(_ summary: LeaksSummary) throws -> String { try encode(LeaksDocument(summary)) }

  public static func layout(_ summary: LayoutSummary) throws -> String { try LayoutJSON(summary: summary).string() }

  public static func layout(_ file: FileLayout, of header: ELFFile) throws -> String { try encode(FileLayoutDocument(file, header)) }

  public static func heap(_ summary: HeapSummary) throws -> String { try encode(HeapDocument(summary)) }

  public static func block(_ block: BlockSummary) throws -> String { try encode(BlockDocument(block)) }

  static func encode(_ document: some Encodable) throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
    return try String(decoding: encoder.encode(document), as: UTF8.self) + "\n"
  }
}

let schema = "mallow/1"

/// Milliseconds or seconds to three places: more would be noise.
func rounded(_ value: Double) -> Double { value.isFinite ? (value * 1000).rounded() / 1000 : 0 }
