// SPDX-License-Identifier: GPL-3.0-or-later
// The station's ports: what stands where, why something cannot be used, and flashing what stands there once.
#include <fmt/format.h>

#include <algorithm>
#include <boost/json/serialize.hpp>

#include "db/armings.hpp"
#include "devices/protocol/port_path.hpp"
#include "flash/core/errors.hpp"
#include "flash/core/text.hpp"
#include "station/api/errors.hpp"
#include "station/errors.hpp"
#include "station/jobs/job_queue.hpp"
#include "station/line/line_json.hpp"
#include "station/methods/call.hpp"
#include "station/ports/port_view.hpp"

namespace imprint::station::methods {
namespace {

constexpr std::size_t kMostName = 100;

ports::PortView view_of(const Call& call) {
  const line::Line& line = call.station().line;
  ports::PortView view = call.station().look_at_ports(*line.slot_map());
  view.training = line.configuration()->station.training;
  view.at_station = line.slots();
  return view;
}

core::Result<json::value> list(Call& call) {
  IMPRINT_CHECK(call.params().finish());
  return ports::list_json(view_of(call));
}

core::Result<json::value> why(Call& call) {
  const devices::PortPath port{call.params().text("port")};
  IMPRINT_CHECK(call.params().finish());
  if (!is_port_path(port) && !call.station().line.slot_map()->slot_of(port))
    return station::fail("usage.invalid", "a port is a text like 1-2.4").with("actual", port.text);
  return ports::why_json(view_of(call), port);
}

// A recipe of the call's parameters.
core::Result<config::ProductFile> bench_product(Call& call) {
  const auto configuration = call.station().line.configuration();
  config::ProductFile product;
  product.name = call.params().text_or("product", "bench");
  const std::string policy = call.params().text_or("policy", {});
  const std::string read_back = call.params().text_or("read_back", "required");
  if (call.params().flag_or("reboot", false)) product.after_pass = config::AfterPass::reboot;
  product.policy = configuration->station.policy;
  if (!policy.empty()) {
    const auto told = trust::parse_policy(policy);
    if (!told) return api::fail("api.params-invalid", "retail, test or none").with("parameter", "policy");
    product.policy = *told;
  }
  const auto modes = {config::ReadBack::required, config::ReadBack::where_possible, config::ReadBack::off};
  const auto* const mode = std::ranges::find(modes, read_back, [](auto one) { return config::to_string(one); });
  if (mode == modes.end())
    return api::fail("api.params-invalid", "required, where-possible or off").with("parameter", "read_back");
  product.read_back = *mode;
  product.protocols.push_back(config::Protocol::disk);
  if (product.name.empty() || product.name.size() > kMostName)
    return api::fail("api.params-invalid", "a name of 1 to 100 characters").with("parameter", "product");
  return product;
}

std::string slots_text(const std::vector<SlotStatus>& slots) {
  std::string text;
  for (const SlotStatus& slot : slots)
    text += fmt::format("{}{}: {}", text.empty() ? "" : ", ", slot.slot,
                        slot.verdict ? db::to_string(*slot.verdict) : to_string(slot.phase));
  return core::printable(text);
}

core::Result<jobs::JobResult> run_flash(line::Line& line, const line::Line::Once& what, bool training,
                                        jobs::JobContext& context) {
  const auto show = [&](const std::vector<SlotStatus>& slots) {
    const auto ended = std::ranges::count_if(slots, [](const SlotStatus& slot) { return slot.verdict.has_value(); });
    context.progress(static_cast<std::uint64_t>(ended), slots.size(), slots_text(slots));
  };
  IMPRINT_TRY(const auto results, line.flash_once(what, show, context.stop()));
  if (context.stop().stop_requested()) return core::fail("job.cancelled");
  return jobs::JobResult{.json = json::serialize(line::flash_report(results, what.product.policy, training, {}))};
}

core::Result<json::value> flash(Call& call) {
  const std::string image = call.params().text("image");
  const auto names = call.params().texts_or_none("slots");
  IMPRINT_TRY(config::ProductFile product, bench_product(call));
  IMPRINT_CHECK(call.params().finish());
  line::Line& line = call.station().line;
  // A product's PASS means that product's rules, which this is not; nor does one that was taken out of the
  // configuration get units by the way.
  const auto configuration = line.configuration();
  IMPRINT_TRY(const bool is_known, db::Armings(call.station().records).knows(product.name));
  if (is_known || configuration->find(product.name) != nullptr)
    return station::fail("station.product-of-line").with("product", product.name);
  IMPRINT_TRY(const auto record, call.station().images.find(image));
  product.image_digest = record.digest;
  line::Line::Once what{.product = std::move(product), .slots = names, .by = call.actor()};
  // Said at once and not by a job that waited its turn; what comes to slots meanwhile is not flashed.
  IMPRINT_TRY(const auto chosen, line.check_once(what));
  what.slots.clear();
  json::array slots;
  for (const SlotConfig& slot : chosen) {
    what.slots.push_back(slot.name);
    slots.emplace_back(core::printable(slot.name));
  }
  json::object parameters{{"image", record.digest},
                          {"slots", slots},
                          {"product", core::printable(what.product.name)},
                          {"policy", trust::to_string(what.product.policy)},
                          {"read_back", config::to_string(what.product.read_back)},
                          {"after_pass", config::to_string(what.product.after_pass)}};
  call.about(record.digest, parameters);
  IMPRINT_CHECK(call.begin());
  const bool training = line.configuration()->station.training;
  const trust::Policy policy = what.product.policy;
  jobs::JobQueue::Request request{.kind = db::JobKind::flash,
                                  .title = fmt::format("flash {} slots", chosen.size()),
                                  .parameters = json::serialize(parameters),
                                  .by = call.actor(),
                                  .may_wait = false};  // other devices may stand in the slots by then
  IMPRINT_TRY(const auto job, call.station().jobs.submit(std::move(request), [&line, what = std::move(what),
                                                                              training](jobs::JobContext& context) {
    return run_flash(line, what, training, context);
  }));
  return json::object{
      {"job", job}, {"slots", std::move(slots)}, {"policy", trust::to_string(policy)}, {"training", training}};
}

constexpr NamedHandler kHandlers[] = {{"devices.list", list}, {"devices.why", why}, {"flash.start", flash}};

}  // namespace

Handler device_handler(std::string_view method) { return find_handler(kHandlers, method); }

}  // namespace imprint::station::methods
