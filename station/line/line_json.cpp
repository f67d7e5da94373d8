// SPDX-License-Identifier: GPL-3.0-or-later
// Members in the order in which people read them.
#include "station/line/line_json.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <cmath>

#include "flash/core/text.hpp"

namespace imprint::station::line {

namespace json = boost::json;

namespace {

json::array to_json(const std::vector<db::UnitEvent>& earlier) {
  json::array out;
  for (const db::UnitEvent& event : earlier)
    out.push_back(
        json::object{{"attempt", event.attempt},
                     {"slot", core::printable(event.slot)},
                     {"at", core::to_iso8601_local(event.closed.value_or(event.opened))},
                     {"verdict", event.verdict ? json::value(db::to_string(*event.verdict)) : json::value(nullptr)}});
  return out;
}

}  // namespace

json::object to_json(const SlotStatus& status) {
  json::object out{{"slot", core::printable(status.slot)},
                   {"phase", to_string(status.phase)},
                   {"training", status.training},
                   {"attempt_here", status.attempt},
                   {"serial", core::printable(status.serial)},
                   {"bytes_done", status.done},
                   {"bytes_due", status.due},
                   {"bytes_per_second", std::llround(status.rate)}};
  out["seconds_left"] = status.left ? json::value(status.left->count()) : json::value(nullptr);
  out["waited_ms"] = json::object{{"source", status.waited.source.count()},
                                  {"hash", status.waited.hash.count()},
                                  {"device", status.waited.device.count()}};
  out["verdict"] = status.verdict ? json::value(db::to_string(*status.verdict)) : json::value(nullptr);
  out["proof"] = db::to_string(status.proof);
  out["error"] = status.error_id;
  out["message"] = core::printable(status.message);
  out["earlier"] = to_json(status.earlier);
  return out;
}

json::object to_json(const AttemptResult& result, bool training) {
  json::object out;
  out["attempt"] = result.id ? json::value(*result.id) : json::value(nullptr);
  out["slot"] = core::printable(result.slot);
  out["training"] = training;
  out["serial"] = core::printable(result.serial);
  out["protocol"] = core::printable(result.protocol);
  out["verdict"] = db::to_string(result.verdict);
  out["proof"] = db::to_string(result.proof);
  out["error"] = result.error ? json::value(result.error->id()) : json::value(nullptr);
  out["message"] = result.error ? result.error->message() : "";
  out["remedy"] = result.error ? std::string(result.error->row().remedy) : "";
  out["bytes_written"] = result.written;
  out["write_ms"] = result.write_time.count();
  out["earlier"] = to_json(result.earlier);
  out["note"] = core::printable(result.note);
  return out;
}

json::object to_json(const db::OrderRow& order, const db::OrderProgress& progress) {
  json::object out{{"number", core::printable(order.number)},
                   {"product", core::printable(order.product)},
                   {"quantity", order.quantity},
                   {"created", core::to_iso8601_local(order.created)}};
  out["due"] = order.due ? json::value(core::to_iso8601_local(*order.due)) : json::value(nullptr);
  out["closed"] = order.closed ? json::value(core::to_iso8601_local(*order.closed)) : json::value(nullptr);
  out["closed_reason"] = core::printable(order.closed_reason);
  out["passed"] = progress.passed;
  out["failed"] = progress.failed;
  out["incomplete"] = progress.incomplete;
  out["scrapped"] = progress.scrapped;
  out["reworked"] = progress.reworked;
  out["running"] = progress.open;
  out["refused"] = progress.refused;
  out["aborted"] = progress.aborted;
  out["remaining"] = progress.remaining;
  return out;
}

}  // namespace imprint::station::line
