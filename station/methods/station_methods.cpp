// SPDX-License-Identifier: GPL-3.0-or-later
// Hello, status, events, the line and its training.
#include "flash/core/text.hpp"
#include "station/api/errors.hpp"
#include "station/line/errors.hpp"
#include "station/line/line_json.hpp"
#include "station/methods/call.hpp"
#include "station/version.hpp"

namespace imprint::station::methods {
namespace {

constexpr std::int64_t kMostDiskBytes = std::int64_t{1} << 40;  // of a simulated device

core::Result<json::value> hello(Call& call) {
  IMPRINT_CHECK(call.params().finish());
  const auto configuration = call.station().line.configuration();
  const config::StationFile& station = configuration->station;
  return json::object{{"version", kVersion},
                      {"api", kApiNumber},
                      {"station", station.id},
                      {"name", station.name.empty() ? station.id : station.name},
                      {"training", station.training},
                      {"language", station.language},
                      {"epoch", call.station().events.epoch()},
                      {"next_event", call.station().events.next()}};
}

json::object status_of(const Call& call) {
  json::object out = call.station().line.status();
  json::array people;
  for (const line::SignedIn& who : call.station().sign_ins.everybody())
    people.push_back(json::object{{"name", core::printable(who.name)},
                                  {"role", people::to_string(who.standing.role)},
                                  {"gave_pin", who.standing.gave_pin}});
  out["people"] = std::move(people);
  const KeyState key = call.station().key();
  out["key"] = json::object{{"kind", key.kind}, {"good", key.good}, {"error", key.error}};
  return out;
}

core::Result<json::value> status(Call& call) {
  IMPRINT_CHECK(call.params().finish());
  return status_of(call);
}

core::Result<json::value> subscribe(Call& call) {
  const auto next = static_cast<std::int64_t>(call.station().events.next());
  const std::int64_t from = call.params().number_or("from", next, 1, INT64_MAX);
  IMPRINT_CHECK(call.params().finish());
  call.caller().listens_from = static_cast<std::uint64_t>(from);
  return json::object{{"epoch", call.station().events.epoch()}, {"from", from}};
}

core::Result<json::value> arm(Call& call) {
  const std::string product = call.params().text("product");
  const std::string order = call.params().text_or("order", {});
  IMPRINT_CHECK(call.params().finish());
  call.about(product, {{"order", order}});
  IMPRINT_CHECK(call.begin());
  IMPRINT_CHECK(call.station().line.arm(product, order, call.actor()));
  return status_of(call);
}

core::Result<json::value> disarm(Call& call) {
  const std::string reason = call.params().text_or("reason", "disarmed");
  IMPRINT_CHECK(call.params().finish());
  call.about("", {{"reason", reason}});
  call.begin_stopping();
  IMPRINT_CHECK(call.station().line.disarm(reason, call.actor()));
  return true;
}

core::Result<json::value> cancel(Call& call) {
  const std::string slot = call.params().text_or("slot", {});
  IMPRINT_CHECK(call.params().finish());
  call.about(slot);
  call.begin_stopping();
  IMPRINT_CHECK(call.station().line.cancel(slot));
  return true;
}

core::Result<json::value> scan(Call& call) {
  const std::string text = call.params().text("text");
  const bool typed = call.params().flag_or("typed", false);
  const std::string slot = call.params().text_or("slot", {});
  IMPRINT_CHECK(call.params().finish());
  IMPRINT_CHECK(call.require(typed ? people::Action::type_serial : people::Action::scan, {}));
  call.about(core::printable(text), {{"typed", typed}, {"slot", slot}});
  IMPRINT_TRY(const auto taken,
              call.station().line.scan(text, typed, slot, call.person_name(), [&call] { return call.change(); }));
  return json::object{{"slot", taken ? json::value(*taken) : json::value(nullptr)}};
}

core::Result<json::value> clear_scan(Call& call) {
  IMPRINT_CHECK(call.params().finish());
  IMPRINT_CHECK(call.change());
  call.station().line.clear_scan();
  return true;
}

core::Result<json::value> products(Call& call) {
  IMPRINT_CHECK(call.params().finish());
  json::array list;
  const auto configuration = call.station().line.configuration();
  for (const config::ProductFile& product : configuration->products)
    list.push_back(json::object{{"name", core::printable(product.name)},
                                {"description", core::printable(product.description)},
                                {"image", product.image_digest},
                                {"policy", trust::to_string(product.policy)},
                                {"serial_source", admission::to_string(product.serial.source)}});
  return json::object{{"products", std::move(list)}};
}

core::Result<json::value> reload(Call& call) {
  IMPRINT_CHECK(call.params().finish());
  IMPRINT_CHECK(call.begin());
  IMPRINT_TRY(auto configuration, call.station().load_configuration());
  const std::size_t count = configuration.products.size();
  IMPRINT_CHECK(call.station().line.reload(std::move(configuration)));
  call.station().on_reload();
  return json::object{{"products", count}};
}

core::Result<training::TrainingBench*> bench_of(const Call& call) {
  if (call.station().training == nullptr) return line::fail("line.training-only");
  return call.station().training;
}

core::Result<json::value> plug(Call& call) {
  training::TrainingDevice device;
  device.slot = call.params().text("slot");
  device.number = static_cast<std::uint64_t>(call.params().number_or("number", 1, 1, 1'000'000));
  device.protocol = call.params().text_or("protocol", "simple-io");
  device.serial = call.params().text_or("serial", {});
  device.platform_id = call.params().text_or("platform", {});
  device.disk_bytes = static_cast<std::uint64_t>(call.params().number_or("disk_bytes", 0, 0, kMostDiskBytes));
  device.sector_size = static_cast<std::uint32_t>(call.params().number_or("sector_bytes", 0, 0, 4096));
  device.faults = call.params().texts_or_none("faults");
  device.bytes_per_second =
      static_cast<std::uint64_t>(call.params().number_or("bytes_per_second", 0, 0, 10'000'000'000));
  device.latency = std::chrono::milliseconds(call.params().number_or("latency_ms", 0, 0, 60'000));
  IMPRINT_CHECK(call.params().finish());
  IMPRINT_TRY(training::TrainingBench* const bench, bench_of(call));
  IMPRINT_TRY(const std::string serial, bench->plug(device));
  return json::object{{"serial", serial}};
}

core::Result<json::value> unplug(Call& call) {
  const std::string slot = call.params().text("slot");
  IMPRINT_CHECK(call.params().finish());
  IMPRINT_TRY(training::TrainingBench* const bench, bench_of(call));
  IMPRINT_CHECK(bench->unplug(slot));
  return true;
}

core::Result<json::value> stop(Call& call) {
  IMPRINT_CHECK(call.params().finish());
  const core::Status noted = call.change();
  call.station().stop();  // also where it could not be written down: a full disk keeps nobody from stopping
  IMPRINT_CHECK(noted);
  return true;
}

constexpr NamedHandler kHandlers[] = {
    {"station.hello", hello},    {"station.status", status},      {"events.subscribe", subscribe},
    {"line.arm", arm},           {"line.disarm", disarm},         {"line.cancel", cancel},
    {"line.scan", scan},         {"line.clear_scan", clear_scan}, {"products.list", products},
    {"products.reload", reload}, {"training.plug", plug},         {"training.unplug", unplug},
    {"station.stop", stop},
};

}  // namespace

Handler station_handler(std::string_view method) { return find_handler(kHandlers, method); }

}  // namespace imprint::station::methods
