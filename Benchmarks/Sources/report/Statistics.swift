// The few statistics that are needed. None of them is asked about nothing.
// SPDX-License-Identifier: Apache-2.0
import Glibc

extension [Double] {
  var median: Double { quantile(0.5) }

  /// Half the range of the middle half, as a share of the median: how far apart typical rounds are.
  var spread: Double { (quantile(0.75) - quantile(0.25)) / 2 / median }

  var geometricMean: Double { exp(map(log).reduce(0, +) / Double(count)) }

  /// Between neighbours, interpolated.
  private func quantile(_ share: Double) -> Double {
    let ordered = sorted()
    let position = share * Double(count - 1)
    let below = Int(position)
    let above = Swift.min(below + 1, count - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (position - Double(below))
  }
}
