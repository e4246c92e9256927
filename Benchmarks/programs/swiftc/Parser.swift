// Parsers as values, combined by operators: closures that capture closures.
// SPDX-License-Identifier: Apache-2.0

struct ParseError: Error, Equatable {
  var expected: Set<String>
  var rest: Substring
}

struct Parser<Output> {
  var parse: (inout Substring) throws(ParseError) -> Output

  func map<Result>(_ transform: @escaping (Output) -> Result) -> Parser<Result> {
    Parser<Result> { (input) throws(ParseError) in transform(try parse(&input)) }
  }

  func flatMap<Result>(_ next: @escaping (Output) -> Parser<Result>) -> Parser<Result> {
    Parser<Result> { (input) throws(ParseError) in try next(try parse(&input)).parse(&input) }
  }

  func followed<Other>(by other: Parser<Other>) -> Parser<(Output, Other)> {
    flatMap { first in other.map { (first, $0) } }
  }

  func or(_ other: Parser) -> Parser {
    Parser { (input) throws(ParseError) in
      let start = input
      do throws(ParseError) { return try parse(&input) } catch let first {
        input = start
        do throws(ParseError) { return try other.parse(&input) } catch let second {
          throw ParseError(expected: first.expected.union(second.expected), rest: start)
        }
      }
    }
  }

  var many: Parser<[Output]> {
    Parser<[Output]> { (input) throws(ParseError) in
      var outputs: [Output] = []
      while true {
        let start = input
        do throws(ParseError) { outputs.append(try parse(&input)) } catch {
          input = start
          return outputs
        }
      }
    }
  }

  func separated<Other>(by other: Parser<Other>) -> Parser<[Output]> {
    followed(by: (other *> self).many).map { [$0] + $1 }
  }
}

infix operator <* : MultiplicationPrecedence
infix operator *> : MultiplicationPrecedence

func <* <A, B>(a: Parser<A>, b: Parser<B>) -> Parser<A> { a.followed(by: b).map { $0.0 } }
func *> <A, B>(a: Parser<A>, b: Parser<B>) -> Parser<B> { a.followed(by: b).map { $0.1 } }

func token(_ text: String) -> Parser<String> {
  Parser { (input) throws(ParseError) in
    input = input.drop { $0.isWhitespace }
    guard input.hasPrefix(text) else { throw ParseError(expected: [text], rest: input) }
    input.removeFirst(text.count)
    return text
  }
}

func span(_ name: String, _ belongs: @escaping (Character) -> Bool) -> Parser<String> {
  Parser { (input) throws(ParseError) in
    input = input.drop { $0.isWhitespace }
    let text = input.prefix(while: belongs)
    guard !text.isEmpty else { throw ParseError(expected: [name], rest: input) }
    input.removeFirst(text.count)
    return String(text)
  }
}

func lazily<Output>(_ parser: @escaping () -> Parser<Output>) -> Parser<Output> {
  Parser { (input) throws(ParseError) in try parser().parse(&input) }
}
