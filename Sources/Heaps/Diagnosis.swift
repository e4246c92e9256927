// What is wrong with a heap that was read: a damaged heap yields these, never a crash.
// SPDX-License-Identifier: Apache-2.0
import ProcessImage

/// Something in a target's heap that contradicts itself.
public struct Diagnosis: Hashable, Sendable, CustomStringConvertible {
  public enum Part: String, Sendable {
    case region, page, freeList, quarantine, threadHeap, metadata, stackTable, arena, chunk
  }

  public let part: Part
  /// Where it was found.
  public let address: Address
  /// One sentence, with the address.
  public let description: String
}

/// Collects diagnoses. A heap that is damaged everywhere would give millions, so only the first ones are kept.
struct DiagnosisLog {
  static let limit = 64
  private(set) var diagnoses: [Diagnosis] = []
  private(set) var dropped = 0

  mutating func note(_ part: Diagnosis.Part, _ address: Address, _ text: String) {
    guard diagnoses.count < Self.limit else {
      dropped += 1
      return
    }
    diagnoses.append(Diagnosis(part: part, address: address, description: text))
  }
}

/// Why a heap can't be read at all.
public struct HeapError: Error, Hashable, CustomStringConvertible {
  /// One plain sentence: what is wrong and what to do.
  public let description: String
}
