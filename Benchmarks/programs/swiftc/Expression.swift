// Expressions: parsed, simplified, differentiated, evaluated over any kind of number, and shown.
// SPDX-License-Identifier: Apache-2.0

indirect enum Expression<Number: Numeric & Hashable & Sendable>: Hashable, Sendable {
  case number(Number)
  case variable(String)
  case sum([Expression])
  case product([Expression])
  case power(Expression, Int)

  func evaluate(_ values: Tree<String, Number>) -> Number? {
    switch self {
    case .number(let number): number
    case .variable(let name): values[name]
    case .sum(let terms):
      terms.reduce(Number.zero as Number?) { sum, term in sum.flatMap { a in term.evaluate(values).map { a + $0 } } }
    case .product(let factors):
      factors.reduce(1 as Number?) { product, factor in product.flatMap { a in factor.evaluate(values).map { a * $0 } } }
    case .power(let base, let exponent): base.evaluate(values).map { b in (0..<exponent).reduce(1) { a, _ in a * b } }
    }
  }

  var variables: Set<String> {
    switch self {
    case .number: []
    case .variable(let name): [name]
    case .sum(let parts), .product(let parts): parts.reduce(into: []) { $0.formUnion($1.variables) }
    case .power(let base, _): base.variables
    }
  }

  func derivative(by name: String) -> Expression {
    switch self {
    case .number: .number(0)
    case .variable(let own): .number(own == name ? 1 : 0)
    case .sum(let terms): .sum(terms.map { $0.derivative(by: name) })
    case .product(let factors):
      .sum(factors.indices.map { i in
        .product(factors.enumerated().map { j, factor in i == j ? factor.derivative(by: name) : factor })
      })
    case .power(let base, let exponent):
      .product([.number(Number(exactly: exponent)!), .power(base, exponent - 1), base.derivative(by: name)])
    }
  }

  var simplified: Expression {
    switch self {
    case .number, .variable: return self
    case .sum(let terms):
      let flat = terms.map(\.simplified).flatMap { if case .sum(let inner) = $0 { inner } else { [$0] } }
      let (constant, others) = Expression.split(flat, from: 0, by: +)
      let kept = constant == 0 ? others : others + [.number(constant)]
      return kept.isEmpty ? .number(0) : kept.count == 1 ? kept[0] : .sum(kept)
    case .product(let factors):
      let flat = factors.map(\.simplified).flatMap { if case .product(let inner) = $0 { inner } else { [$0] } }
      let (constant, others) = Expression.split(flat, from: 1, by: *)
      if constant == 0 { return .number(0) }
      let kept = constant == 1 ? others : [.number(constant)] + others
      return kept.isEmpty ? .number(1) : kept.count == 1 ? kept[0] : .product(kept)
    case .power(_, 0): return .number(1)
    case .power(let base, 1): return base.simplified
    case .power(let base, let exponent): return .power(base.simplified, exponent)
    }
  }

  private static func split(
    _ parts: [Expression], from start: Number, by join: (Number, Number) -> Number
  ) -> (Number, [Expression]) {
    parts.reduce(into: (start, [])) { result, part in
      if case .number(let number) = part { result.0 = join(result.0, number) } else { result.1.append(part) }
    }
  }
}

extension Expression: CustomStringConvertible where Number: CustomStringConvertible {
  var description: String {
    switch self {
    case .number(let number): "\(number)"
    case .variable(let name): name
    case .sum(let terms): "(" + terms.map(\.description).joined(separator: " + ") + ")"
    case .product(let factors): factors.map(\.description).joined(separator: " * ")
    case .power(let base, let exponent): "\(base)^\(exponent)"
    }
  }
}

extension Expression where Number: LosslessStringConvertible {
  static var parser: Parser<Expression> {
    let number = span("number") { $0.isNumber || $0 == "." }.map { Expression.number(Number($0) ?? 0) }
    let variable = span("variable") { $0.isLetter }.map { Expression.variable($0) }
    let group = token("(") *> lazily { Expression.parser } <* token(")")
    let atom = number.or(variable).or(group)
    let power = atom.followed(by: token("^") *> span("exponent") { $0.isNumber }).map { Expression.power($0, Int($1) ?? 1) }
    let product = power.or(atom).separated(by: token("*")).map { Expression.product($0) }
    return product.separated(by: token("+")).map { Expression.sum($0) }
  }
}
