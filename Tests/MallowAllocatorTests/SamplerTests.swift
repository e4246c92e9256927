// SPDX-License-Identifier: Apache-2.0
import CMallow
import Foundation
import Testing

@testable import MallowAllocatorHosted

@Suite struct SamplerTests {
  @Test func logarithmAndExponentialAreAccurate() {
    var x = 1e-16
    while x <= 1 {
      #expect(abs(logarithm(x) - Foundation.log(x)) <= 1e-11 * abs(Foundation.log(x)) + 1e-15)
      x *= 1.37
    }
    x = 1e-6
    while x < 39 {
      let expected = Foundation.exp(-x)
      #expect(abs(exponential(ofMinus: x) - expected) <= 1e-8 * expected)
      x *= 1.21
    }
    #expect(exponential(ofMinus: 100) == 0)
  }
}
