// SPDX-License-Identifier: GPL-3.0-or-later
// Work orders.
#include "db/orders.hpp"

#include "flash/core/text.hpp"
#include "station/api/errors.hpp"
#include "station/line/errors.hpp"
#include "station/line/line_json.hpp"
#include "station/methods/call.hpp"
#include "station/period.hpp"

namespace imprint::station::methods {
namespace {

constexpr std::int64_t kMostUnits = 1'000'000'000;

core::Result<db::OrderRow> order_of(const Call& call, const std::string& number) {
  auto order = db::Orders(call.station().records).find(number);
  if (!order && order.error().id() == "records.unknown") return line::fail("order.unknown").with("order", number);
  return order;
}

core::Result<json::value> list(Call& call) {
  const bool closed = call.params().flag_or("closed", false);
  IMPRINT_CHECK(call.params().finish());
  IMPRINT_TRY(const auto all, db::Orders(call.station().records).list_with_progress(closed));
  json::array out;
  for (const db::OrderState& state : all) out.push_back(line::to_json(state.order, state.progress));
  return json::object{{"orders", std::move(out)}};
}

core::Result<json::value> create(Call& call) {
  db::NewOrder order;
  order.number = call.params().text("number");
  order.product = call.params().text("product");
  order.quantity = static_cast<std::uint64_t>(call.params().number("quantity", 1, kMostUnits));
  const std::string due = call.params().text_or("due", {});
  IMPRINT_CHECK(call.params().finish());
  IMPRINT_TRY(order.due, time_of(due, "due"));
  if (call.station().line.configuration()->find(order.product) == nullptr)
    return line::fail("line.product-unknown").with("product", order.product);
  order.by = call.actor();
  call.about(order.number, {{"product", order.product}, {"quantity", order.quantity}, {"due", due}});
  IMPRINT_CHECK(call.change([&]() -> core::Status {
    IMPRINT_TRY(const auto id, db::Orders(call.station().records).create(order));
    static_cast<void>(id);
    return {};
  }));
  return json::object{{"number", order.number}};
}

core::Result<json::value> change(Call& call) {
  const std::string number = call.params().text("number");
  const auto quantity = call.params().number("quantity", 1, kMostUnits);
  const std::string due_text = call.params().text_or("due", {});
  const std::string reason = call.params().text("reason");
  IMPRINT_CHECK(call.params().finish());
  IMPRINT_TRY(const auto due, time_of(due_text, "due"));
  IMPRINT_TRY(const db::OrderRow order, order_of(call, number));
  call.about(number, {{"quantity", quantity}, {"due", due_text}, {"reason", reason}});
  IMPRINT_CHECK(call.change([&] {
    return db::Orders(call.station().records)
        .change(order.id, static_cast<std::uint64_t>(quantity), due, reason, call.actor());
  }));
  return true;
}

core::Result<json::value> close(Call& call) {
  const std::string number = call.params().text("number");
  const std::string reason = call.params().text("reason");
  IMPRINT_CHECK(call.params().finish());
  IMPRINT_TRY(const db::OrderRow order, order_of(call, number));
  call.about(number, {{"reason", reason}});
  IMPRINT_CHECK(call.change([&] { return db::Orders(call.station().records).close(order.id, reason, call.actor()); }));
  if (call.station().line.armed_order() == order.id)
    IMPRINT_CHECK(call.station().line.disarm("its order was closed", call.actor()));
  return true;
}

constexpr NamedHandler kHandlers[] = {
    {"orders.list", list}, {"orders.create", create}, {"orders.change", change}, {"orders.close", close}};

}  // namespace

core::Result<std::optional<core::UtcTime>> time_of(const std::string& text, std::string_view parameter) {
  if (text.empty()) return std::nullopt;
  auto moment = parse_moment(text);
  if (!moment) return api::fail("api.params-invalid", moment.error().detail()).with("parameter", parameter);
  return *moment;
}

Handler order_handler(std::string_view method) { return find_handler(kHandlers, method); }

}  // namespace imprint::station::methods
