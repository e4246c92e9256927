// What is said of programs that can't run on Mallow's allocator, before they are started.
// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

@testable import ProcessImage

@Suite struct ProgramFileTests {
  let folder: TemporaryFolder
  init() throws { folder = try TemporaryFolder() }

  private func binary(_ name: String, searchPath: String? = "/usr/bin:/bin") throws -> String {
    try ProgramFile(finding: name, searchPath: searchPath).binary
  }

  @Test func acceptsDynamicPrograms() throws {
    let program = try folder.compile("int main(void) { return 0; }")
    #expect(try ProgramFile(finding: program, searchPath: nil) == ProgramFile(finding: program, searchPath: "/bin"))
    #expect(try binary(program) == program)
    #expect(try binary(try folder.compile("int main(void) { return 0; }", "-no-pie")).hasPrefix(folder.path))
    #expect(try binary("cat").hasSuffix("/cat"))
  }

  @Test func findsThroughPath() throws {
    let program = try folder.compile("int main(void) { return 0; }")
    let name = URL(fileURLWithPath: program).lastPathComponent
    _ = try folder.file("data", [1, 2, 3])
    #expect(try binary(name, searchPath: "/nowhere:\(folder.path):/bin") == program)
    #expect(throws: ProgramError.notFound(name)) { try binary(name, searchPath: "/nowhere") }
    #expect(throws: ProgramError.notFound("")) { try binary("") }
    #expect(throws: ProgramError.notFound(folder.path + "/no")) { try binary(folder.path + "/no") }
    #expect(throws: ProgramError.isDirectory(folder.path)) { try binary(folder.path) }
    #expect(throws: ProgramError.notExecutable(folder.path + "/data")) { try binary(folder.path + "/data") }
    #expect(throws: ProgramError.notExecutable(folder.path + "/data")) { try binary("data", searchPath: folder.path) }
  }

  @Test func refusesStaticPrograms() throws {
    let fixed = try folder.compile("int main(void) { return 0; }", "-static")
    #expect(throws: ProgramError.isStatic(fixed)) { try binary(fixed) }
    let movable = try folder.compile("int main(void) { return 0; }", "-static-pie", "-fPIE")
    #expect(throws: ProgramError.isStaticPIE(movable)) { try binary(movable) }
  }

  @Test func refusesOtherMachines() throws {
    func changed(_ name: String, _ change: (inout [UInt8]) -> Void) throws -> String {
      var bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: "/bin/cat")))
      change(&bytes)
      return try folder.file(name, bytes, mode: 0o755)
    }
    let small = try changed("small") { $0[4] = 1; $0[18] = 3 }
    #expect(throws: ProgramError.is32Bit(small)) { try binary(small) }
    let x32 = try changed("x32") { $0[4] = 1 }
    #expect(throws: ProgramError.is32Bit(x32)) { try binary(x32) }
    let arm = try changed("arm") { $0[18] = 183 }
    #expect(throws: ProgramError.otherArchitecture(arm, machine: 183)) { try binary(arm) }
    let power = try changed("power") { $0[5] = 2; $0[18] = 0; $0[19] = 21 }
    #expect(throws: ProgramError.otherArchitecture(power, machine: 21)) { try binary(power) }
    let cut = try changed("cut") { $0.removeSubrange(40...) }
    #expect(throws: ProgramError.isDamaged(cut)) { try binary(cut) }
    let wild = try changed("wild") { bytes in for i in 32..<40 { bytes[i] = 0xff } }
    #expect(throws: ProgramError.isDamaged(wild)) { try binary(wild) }
    let musl = try changed("musl") { bytes in
      let old = Array("/lib64/ld-linux-x86-64.so.2".utf8)
      let at = bytes.indices.first { bytes[$0...].starts(with: old) }!
      bytes.replaceSubrange(at..<(at + old.count), with: Array("/lib/ld-musl-x86_64.so.1\0\0\0".utf8))
    }
    #expect(throws: ProgramError.otherLoader(musl, loader: "/lib/ld-musl-x86_64.so.1")) { try binary(musl) }
  }

  @Test func looksThroughScripts() throws {
    func script(_ name: String, _ text: String) throws -> String { try folder.file(name, Array(text.utf8), mode: 0o755) }
    #expect(try binary(try script("a", "#!/bin/sh\nexit 0\n")) == "/bin/sh")
    #expect(try binary(try script("b", "#! /bin/sh -e\n")) == "/bin/sh")
    #expect(try binary(try script("c", "#!/usr/bin/env sh\n")).hasSuffix("/sh"))
    #expect(try binary(try script("d", "#!/usr/bin/env -S X=1 sh -e\n")).hasSuffix("/sh"))
    // Without a first line of that kind the shell runs it.
    #expect(try binary(try script("e", "exit 0\n")) == "/bin/sh")
    let nested = try script("f", "#!\(folder.path)/a\n")
    #expect(try ProgramFile(finding: nested, searchPath: nil).path == nested)
    #expect(try binary(nested) == "/bin/sh")
    let missing = try script("g", "#!/no/such/interpreter\n")
    #expect(throws: ProgramError.interpreterMissing(missing, "/no/such/interpreter")) { try binary(missing) }
    #expect(throws: ProgramError.notFound("nonesuch")) { try binary(try script("h", "#!/usr/bin/env nonesuch\n")) }
    let loop = try script("i", "#!\(folder.path)/i\n")
    #expect(throws: ProgramError.interpreterMissing(loop, loop)) { try binary(loop) }
    let fixed = try folder.compile("int main(void) { return 0; }", "-static")
    #expect(throws: ProgramError.isStatic(fixed)) { try binary(try script("j", "#!\(fixed)\n")) }
  }

  @Test func acceptsOnesOwnSetUserIDProgram() throws {
    let program = try folder.compile("int main(void) { return 0; }")
    chmod(program, 0o4755)
    #expect(try binary(program) == program)
  }

  @Test(.enabled(if: geteuid() == 0, "only root can give a file away"))
  func refusesProgramsThatGainRights() throws {
    let program = try folder.compile("int main(void) { return 0; }")
    chown(program, 65534, 65534)
    chmod(program, 0o4755)
    #expect(throws: ProgramError.setsUser(program, owner: 65534)) { try binary(program) }
    chmod(program, 0o2755)
    #expect(throws: ProgramError.setsGroup(program, group: 65534)) { try binary(program) }
    chmod(program, 0o755)
    #expect(try binary(program) == program)
  }

  @Test func saysItInOneSentence() {
    let errors: [ProgramError] = [
      .notFound("x"), .notFound(""), .notFound("./x"), .isDirectory("x"), .notExecutable("x"), .is32Bit("x"),
      .otherArchitecture("x", machine: 183), .isStatic("x"), .isStaticPIE("x"), .isLibrary("x"), .isDamaged("x"),
      .otherLoader("x", loader: "y"), .interpreterMissing("x", "y"), .setsUser("x", owner: 1), .setsGroup("x", group: 1),
      .hasCapabilities("x"),
    ]
    for error in errors {
      #expect(error.description.hasSuffix("."))
      #expect(!error.description.contains("\n"))
      #expect(error.description.count > 10)
    }
  }
}
