// A server of orders in JSON: it decodes and keeps what is posted, and encodes what is asked for.
// SPDX-License-Identifier: Apache-2.0
import Hummingbird

struct Item: Codable {
  var name: String
  var price: Double
  var tags: [String]
}

struct Order: ResponseCodable {
  var id: Int
  var customer: String
  var note: String?
  var items: [Item]
}

struct Summary: ResponseCodable {
  var orders: Int
  var items: Int
  var tags: [String: Int]
}

/// The last orders that were posted: new ones take the places of old ones.
actor Store {
  private var orders: [Order] = []
  private var next = 0

  func add(_ new: [Order]) {
    for order in new {
      if orders.count < 10_000 { orders.append(order) } else { orders[next % orders.count] = order }
      next += 1
    }
  }

  func last(_ count: Int) -> [Order] { orders.suffix(count) }
}

@main struct Server {
  static func main() async throws {
    let store = Store()
    let router = Router()
    router.post("orders") { request, context in
      let orders = try await request.decode(as: [Order].self, context: context)
      await store.add(orders)
      let items = orders.flatMap(\.items)
      let tags = items.flatMap(\.tags).reduce(into: [:]) { $0[$1, default: 0] += 1 }
      return Summary(orders: orders.count, items: items.count, tags: tags)
    }
    router.get("orders/:count") { _, context in
      await store.last(try context.parameters.require("count", as: Int.self))
    }
    let port = Int(CommandLine.arguments[1])!
    try await Application(router: router, configuration: .init(address: .hostname("127.0.0.1", port: port))).runService()
  }
}
