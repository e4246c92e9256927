// What a process's control group is charged for files' pages, by versions 1 and 2 (admin-guide/cgroup-v1/memory.rst, cgroup-v2.rst).
// SPDX-License-Identifier: Apache-2.0

/// A process's memory control group.
public enum ControlGroup {
  /// Bytes of files' pages that the whole group of a process is charged for, those of shared memory left out; nil where that can't be read.
  public static func fileCache(of process: Int32) -> UInt64? {
    guard let groups = ProcFiles.text("/proc/\(process)/cgroup"), let mounts = ProcFiles.text("/proc/self/mountinfo") else { return nil }
    for line in groups.split(separator: "\n") {
      let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
      guard fields.count == 3, fields[0] == "0" || fields[1].split(separator: ",").contains("memory") else { continue }
      let isFirst = fields[0] != "0"
      guard let folder = folder(of: fields[2], isFirst: isFirst, mounts),
        let text = ProcFiles.text("\(folder)/memory.stat"),
        let cache = number(isFirst ? "total_cache" : "file", in: text)
      else { continue }
      let shared = number(isFirst ? "total_shmem" : "shmem", in: text) ?? 0
      return cache > shared ? cache - shared : 0
    }
    return nil
  }

  /// Where a group's files are: the mount shows the hierarchy from its root on.
  static func folder(of group: Substring, isFirst: Bool, _ mounts: String) -> String? {
    for line in mounts.split(separator: "\n") {
      // proc(5): id, parent, device, root, mount point, options …, then a hyphen, type, source, super options.
      let halves = line.split(separator: " ")
      guard halves.count > 8, let hyphen = halves.firstIndex(of: "-"), hyphen + 3 < halves.count else { continue }
      let isMemory = halves[hyphen + 3].split(separator: ",").contains("memory")
      guard isFirst ? halves[hyphen + 1] == "cgroup" && isMemory : halves[hyphen + 1] == "cgroup2" else { continue }
      let root = halves[3] == "/" ? "" : halves[3]
      guard group.hasPrefix(root) else { return String(halves[4]) }
      return String(halves[4]) + String(group.dropFirst(root.count))
    }
    return nil
  }

  static func number(_ key: String, in text: String) -> UInt64? {
    for line in text.split(separator: "\n") where line.hasPrefix(key + " ") { return UInt64(line.dropFirst(key.count + 1)) }
    return nil
  }
}
