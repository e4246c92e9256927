// From the address space's regions to the rows of an account.
// SPDX-License-Identifier: Apache-2.0
import ProcessImage

extension AccountArea {
  /// The areas of all regions, in address order.
  public static func areas(of space: AddressSpace, owners: AnonymousOwners = AnonymousOwners()) -> [AccountArea] {
    space.regions.map { region in
      let owner = region.kind == .anonymous ? owners.modules[region.start] : nil
      return AccountArea(region.start..<region.end, kind(of: region), name: owner.map { "pointed to by \($0)" } ?? name(of: region))
    }
  }

  private static func kind(of region: AddressSpace.Region) -> Kind {
    switch region.kind {
    case .text: .code
    case .rodata: .readOnlyData
    case .data: .data
    case .bss: .bss
    case .heap: .heap
    case .stack, .arguments, .environment, .auxv: .mainStack
    case .threadStack: .threadStack
    case .vdso, .vvar, .vsyscall: .vdso
    case .file: .file
    case .shared: .shared
    case .anonymous, .guardPages, .reserved: region.module == nil ? .anonymous : .readOnlyData
    }
  }

  private static func name(of region: AddressSpace.Region) -> String {
    switch region.kind {
    case .text, .rodata, .data, .bss: region.module ?? region.name
    case .stack: "frames"
    case .arguments: "arguments"
    case .environment: "environment"
    case .auxv: "auxiliary vector"
    case .threadStack: [region.threadID.map(String.init) ?? "", region.name].filter { !$0.isEmpty }.joined(separator: " ")
    case .vdso, .vvar, .vsyscall: ""
    case .guardPages, .reserved: region.module ?? "inaccessible"
    case .heap, .file, .shared, .anonymous: region.name
    }
  }
}
