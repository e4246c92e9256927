// Control groups are found in both versions' hierarchies, wherever these are mounted.
// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import ProcessImage

@Suite struct ControlGroupTests {
  private let mounts = """
    30 29 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - tmpfs tmpfs ro,mode=755
    31 30 0:27 / /sys/fs/cgroup/unified rw,nosuid shared:5 - cgroup2 cgroup2 rw,nsdelegate
    34 30 0:30 /docker/12ab /sys/fs/cgroup/memory ro,nosuid shared:9 - cgroup cgroup rw,memory
    35 30 0:31 / /sys/fs/cgroup/cpu,cpuacct rw shared:10 - cgroup cgroup rw,cpu,cpuacct

    """

  @Test func theFolderIsBelowTheMount() {
    #expect(ControlGroup.folder(of: "/user.slice/a b", isFirst: false, mounts) == "/sys/fs/cgroup/unified/user.slice/a b")
    #expect(ControlGroup.folder(of: "/docker/12ab/x", isFirst: true, mounts) == "/sys/fs/cgroup/memory/x")
    // A group outside what is mounted here: the mount's own is the nearest.
    #expect(ControlGroup.folder(of: "/elsewhere", isFirst: true, mounts) == "/sys/fs/cgroup/memory")
    #expect(ControlGroup.folder(of: "/", isFirst: false, "30 29\nnonsense - \n") == nil)
  }

  @Test func keysAreWholeWords() {
    #expect(ControlGroup.number("file", in: "anon 1\nfile_mapped 3\nfile 4096\n") == 4096)
    #expect(ControlGroup.number("cache", in: "total_cache 5\n") == nil)
  }
}
