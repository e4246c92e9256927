// The command line: parse, call, print.
// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Glibc

@main
struct Mallow: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "mallow",
    abstract: "Tells where a process's memory went, and what to change to get it back.",
    version: "0.1.0",
    subcommands: [
      RunCommand.self, LeaksCommand.self, HeapCommand.self, AccountCommand.self, LayoutCommand.self, ExplainCommand.self,
      FragmentationCommand.self, SnapshotCommand.self,
    ])

  static func main() {
    do {
      var command = try parseAsRoot()
      try command.run()
    } catch let code as ExitCode {
      Glibc.exit(code.rawValue)
    } catch where exitCode(for: error) == .failure {
      // Everything that the parts throw describes itself in a sentence.
      fail("\(error)")
    } catch {
      exit(withError: error)
    }
  }

  private static func fail(_ sentence: String) -> Never {
    let line = "mallow: \(sentence)\n"
    _ = line.utf8CString.withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress, $0.count - 1) }
    Glibc.exit(2)
  }
}
