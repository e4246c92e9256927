// Anonymous memory belongs to the module whose variables point into it most.
// SPDX-License-Identifier: Apache-2.0
import Analyses
import Heaps
import ProcessImage
import Support
import Testing

@Suite struct AnonymousOwnerTests {
  @Test func theModuleWithMostPointersOwns() {
    let image = BuiltImage()
    image.map(0x1000_0000, size: 8192, name: "/lib/a.so", inode: 1)
    image.map(0x2000_0000, size: 8192, name: "/lib/b.so", inode: 2)
    for start in [0x3000_0000, 0x4000_0000, 0x5000_0000] as [UInt64] { image.map(start, size: 65536) }
    image.write(words: [0x3000_0008, 0x2fff_ffff, 0x4000_0000], at: Address(0x1000_0000))
    image.write(words: [0x4000_1000, 0x4000_ffff, 0x4001_0000], at: Address(0x2000_0000))
    // What is not resident is not looked at.
    image.write(words: [0x3000_0010, 0x3000_0020], at: Address(0x2000_1000))
    var resident = PageCounts()
    resident.resident = 4096
    let regions = image.mappings.map { mapping in
      AddressSpace.Region(
        start: mapping.start, end: mapping.end, kind: mapping.inode > 0 ? .data : .anonymous, module: mapping.inode > 0 ? mapping.name : nil,
        counts: resident)
    }
    let pages = [0x1000_0000, 0x2000_0000, 0x3000_0000, 0x4000_0000, 0x5000_0000].map { Address($0)..<Address($0 + 4096) }
    let space = AddressSpace(regions: regions)
    let owners = AnonymousOwners(space, pages: pages, mirror: MemoryMirror(image))
    #expect(owners.modules == [Address(0x3000_0000): "/lib/a.so", Address(0x4000_0000): "/lib/b.so"])
    let names = AccountArea.areas(of: space, owners: owners).map(\.name)
    #expect(names == ["/lib/a.so", "/lib/b.so", "pointed to by /lib/a.so", "pointed to by /lib/b.so", ""])
  }
}
