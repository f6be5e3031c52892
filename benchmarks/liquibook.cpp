// liquibook, the C++ engine that the book is compared with, on flows of ../shared/workloads.
//
//     git clone https://github.com/enewhuis/liquibook     (no part of p2px; measured: 2427613, 2022-12-15)
//     g++ -std=c++17 -O2 -w -DLIQUIBOOK_IGNORES_DEPRECATED_CALLS -Iliquibook/src benchmarks/liquibook.cpp -o liqui
//     for flow in mixed heavy deep; do python ../shared/workloads/gen.py $flow --out flows; done
//     ./liqui flows/mixed flows/heavy flows/deep
//
// CPU time of the loop over parsed operations, median of 5; every trade is checked with the oracle's hash. Three
// ways to use it:
//
//     own test     as its test/perf does: orders made before the clock starts, plain pointers, none looked up
//     application  as its examples/mt_order_entry does: an order per command in a shared_ptr, found by its id
//                  for a cancel, and listeners that are told of orders and trades. What `book` is compared with
//     with depth   the same with its DepthOrderBook, which keeps the best five prices of each side up to date

#include <book/depth_order_book.h>
#include <book/order_book.h>
#include <simple/simple_order.cpp>
#include <simple/simple_order.h>

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

namespace lb = liquibook::book;

struct Operation {
  unsigned id, side;
  unsigned long long price, quantity;  // quantity 0: a cancel
};
using Operations = std::vector<Operation>;

struct Order : liquibook::simple::SimpleOrder {
  unsigned long long id;
  explicit Order(const Operation& each) : SimpleOrder(each.side == 0, each.price, each.quantity), id(each.id) {}
};

struct Tape {  // h2 of the workloads' README
  unsigned long long trades = 0, hash = 0;
  void add(unsigned long long taker, unsigned long long maker, unsigned long long price, unsigned long long lots) {
    const unsigned long long factor = 6364136223846793005ULL;
    hash = hash * factor + maker * 31 + taker;
    hash = hash * factor + price * 1000003 + lots + 1;
    ++trades;
  }
};
static Tape tape;

static double cpu_seconds() {
  timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return now.tv_sec + now.tv_nsec * 1e-9;
}

// Its test/perf keeps the state of orders by overriding this function (simple/simple_order_book.h).
struct OwnTestBook : lb::OrderBook<Order*> {
  void perform_callback(lb::Callback<Order*>& it) override {
    lb::OrderBook<Order*>::perform_callback(it);
    if (it.type == lb::Callback<Order*>::cb_order_accept) it.order->accept();
    if (it.type == lb::Callback<Order*>::cb_order_cancel) it.order->cancel();
    if (it.type != lb::Callback<Order*>::cb_order_fill) return;
    it.matched_order->fill(it.quantity, it.quantity * it.price, 0);
    it.order->fill(it.quantity, it.quantity * it.price, 0);
    tape.add(it.order->id, it.matched_order->id, it.price, it.quantity);
  }
};

static double own_test(const Operations& operations) {
  OwnTestBook book;
  std::vector<std::unique_ptr<Order>> orders(operations.size() + 1);
  for (auto& each : operations)
    if (each.quantity) orders[each.id] = std::make_unique<Order>(each);
  const double began = cpu_seconds();
  for (auto& each : operations)
    if (each.quantity)
      book.add(orders[each.id].get());
    else
      book.cancel(orders[each.id].get());
  return cpu_seconds() - began;
}

using Shared = std::shared_ptr<Order>;

struct Listener : lb::OrderListener<Shared>, lb::TradeListener<lb::OrderBook<Shared>> {
  unsigned long long volume = 0;
  void on_accept(const Shared& order) override { order->accept(); }
  void on_cancel(const Shared& order) override { order->cancel(); }
  void on_fill(const Shared& taker, const Shared& maker, lb::Quantity lots, lb::Price price) override {
    taker->fill(lots, lots * price, 0);
    maker->fill(lots, lots * price, 0);
    tape.add(taker->id, maker->id, price, lots);
  }
  void on_trade(const lb::OrderBook<Shared>*, lb::Quantity lots, lb::Price) override { volume += lots; }
  void on_reject(const Shared&, const char*) override {}
  void on_cancel_reject(const Shared&, const char*) override {}
  void on_replace(const Shared&, const int64_t&, lb::Price) override {}
  void on_replace_reject(const Shared&, const char*) override {}
};

template <class Book>
double application(const Operations& operations) {
  Book book;
  Listener listener;
  book.set_order_listener(&listener);
  book.set_trade_listener(&listener);
  std::unordered_map<unsigned, Shared> orders;
  const double began = cpu_seconds();
  for (auto& each : operations) {
    if (each.quantity) {
      auto order = std::make_shared<Order>(each);
      orders.emplace(each.id, order);
      book.add(order);
    } else {
      auto found = orders.find(each.id);
      book.cancel(found->second);
      orders.erase(found);
    }
  }
  return cpu_seconds() - began;
}

static void measure(const char* name, double (*run)(const Operations&), const Operations& operations,
                    const std::string& oracle) {
  std::vector<double> seconds;
  for (int at = 0; at < 5; ++at) {
    tape = Tape();
    seconds.push_back(run(operations));
  }
  std::sort(seconds.begin(), seconds.end());
  const bool right = oracle.find(std::to_string(tape.hash)) != std::string::npos;
  std::printf("  %-12s %6.3f M/s median  %6.3f M/s best%s\n", name, operations.size() / seconds[2] / 1e6,
              operations.size() / seconds[0] / 1e6, right ? "" : "  OTHER TRADES");
}

int main(int count, char** flows) {
  for (int at = 1; at < count; ++at) {
    const std::string flow = flows[at];
    Operations operations;
    std::ifstream lines(flow + ".csv");
    for (std::string line; std::getline(lines, line);) {
      char kind;
      Operation each;
      std::sscanf(line.c_str(), "%c,%u,%u,%llu,%llu", &kind, &each.id, &each.side, &each.price, &each.quantity);
      if (kind == 'C') each.quantity = 0;
      operations.push_back(each);
    }
    std::ifstream said(flow + ".json");
    const std::string oracle((std::istreambuf_iterator<char>(said)), {});
    std::printf("%s: %zu commands\n", flow.c_str(), operations.size());
    measure("own test", own_test, operations, oracle);
    measure("application", application<lb::OrderBook<Shared>>, operations, oracle);
    measure("with depth", application<lb::DepthOrderBook<Shared, 5>>, operations, oracle);
  }
}
