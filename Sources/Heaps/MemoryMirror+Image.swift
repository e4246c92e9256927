// The mirror is an image itself: whoever reads many small pieces reads them here, without a system call for each.
// SPDX-License-Identifier: Apache-2.0
import ProcessImage

extension MemoryMirror: ProcessImage {
  public var processID: Int32 { image.processID }
  public var executable: String { image.executable }
  public var threads: [ThreadState] { image.threads }
  public var kernelHeldWords: [KernelHeldWord] { image.kernelHeldWords }
}
