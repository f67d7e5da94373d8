// SPDX-License-Identifier: GPL-3.0-or-later
// Arming, disarming, and what is told of it.
#include "station/line/line.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <ranges>

#include "flash/core/deadline.hpp"
#include "flash/core/text.hpp"
#include "station/admission/scan_text.hpp"
#include "station/errors.hpp"
#include "station/line/armament.hpp"
#include "station/line/errors.hpp"
#include "station/line/line_json.hpp"

namespace imprint::station::line {

namespace json = boost::json;

namespace {

json::object scan_json(const admission::Scan& scan) {
  return {{"text", core::printable(scan.text)},
          {"typed", scan.manual},
          {"by", core::printable(scan.by)},
          {"for_slot", core::printable(scan.slot)}};
}

}  // namespace

Line::Line(LineParts parts, config::Configuration configuration)
    : parts_(std::move(parts)),
      desk_({.hold = configuration.station.scan_hold,
             .notice = [this](const admission::ScanNotice& notice) { on_notice(notice); }}),
      configuration_(std::make_shared<const config::Configuration>(std::move(configuration))) {}

// What a slot showed since before it was disarmed belongs to the device that has left.
void Line::forget_result(const devices::PortPath& port) {
  const std::scoped_lock lock(mutex_);
  if (armament_ || !slot_map_) return;
  const auto slot = slot_map_->slot_of(port);
  if (!slot) return;
  for (SlotStatus& shown : last_slots_) {
    if (shown.slot != slot->name) continue;
    shown = SlotStatus{};
    shown.slot = slot->name;
    shown.training = configuration_->station.training;
    on_slot(shown);
  }
}

void Line::keep_standing(const Armament& armament) {
  standing_.keep(armament.session->latched(), armament.rules.armed().product.reboot_time);
}

core::Result<std::unique_ptr<Line>> Line::open(LineParts parts, config::Configuration configuration) {
  const bool training = configuration.station.training;
  if (parts.bus.is_virtual() && !training) return station::fail("station.training-only");
  IMPRINT_TRY(const bool mixed, parts.records.has_attempts(!training));
  if (mixed) return station::fail("station.records-mixed");
  IMPRINT_TRY(const auto interrupted, parts.records.close_interrupted());
  std::unique_ptr<Line> line(new Line(parts, std::move(configuration)));
  IMPRINT_TRY(SlotMap map, SlotMap::load(line->configuration_->slot_folders));
  line->slot_map_ = std::make_shared<const SlotMap>(std::move(map));
  IMPRINT_TRY(line->loaded_, db::Armings(parts.records).last_loaded());
  if (line->loaded_ && line->loaded_->what.work_order) {
    IMPRINT_TRY(const auto order, db::Orders(parts.records).get(*line->loaded_->what.work_order));
    line->loaded_order_ = order.number;
  }
  line->standing_watch_ = parts.bus.subscribe(line->standing_);
  // What stands there at the start may have passed before it: it is put in anew by whoever wants it flashed.
  if (line->loaded_) line->standing_.occupy(parts.bus.occupied());
  parts.events.publish("station", {{"what", "started"}, {"interrupted_attempts", interrupted}});
  return line;
}

Line::~Line() {
  stop(std::chrono::milliseconds(0));
  standing_watch_.reset();  // before what a departure looks at
}

core::Status Line::disarm(const std::string& reason, const db::Actor& by) {
  const std::scoped_lock turn(turn_);
  {
    const std::scoped_lock lock(mutex_);
    if (!is_armed_ || !armament_) return fail("line.not-armed");
  }
  std::string order;
  bool is_once = false;
  {
    const std::scoped_lock lock(mutex_);
    is_armed_ = false;
    // A stop may have taken it away meanwhile.
    if (armament_) {
      order = armament_->order_number;
      is_once = armament_->once;
      armament_->rules.close();
      armament_->session->take_no_more();
    }
  }
  // The line first: on a full disk, too, nothing more is begun with. What the records then say, a restart says as well.
  core::Status recorded;
  if (!is_once) {
    const auto was_armed = db::Armings(parts_.records).disarm(reason, by);
    if (!was_armed) recorded = std::unexpected(was_armed.error());
    note_loaded(order);
  }
  desk_.clear();
  // Nobody is going to scan for them.
  for (const std::string& slot : desk_.slots_that_ask()) static_cast<void>(cancel(slot));
  publish_station("disarmed");
  return recorded;
}

core::Status Line::cancel(const std::string& slot) {
  std::shared_ptr<Armament> armament;
  {
    const std::scoped_lock lock(mutex_);
    armament = armament_;
  }
  if (!armament) return fail("line.slot-unknown").with("slot", slot);
  if (!slot.empty()) {
    if (!armament->session->cancel(slot)) return fail("line.slot-unknown").with("slot", slot);
    return {};
  }
  for (const SlotStatus& one : armament->session->snapshot()) static_cast<void>(armament->session->cancel(one.slot));
  return {};
}

core::Result<std::optional<std::string>> Line::scan(const std::string& text, bool typed, const std::string& slot,
                                                    const std::string& by,
                                                    const std::function<core::Status()>& before) {
  std::shared_ptr<Armament> armament;
  {
    const std::scoped_lock lock(mutex_);
    if (!is_armed_) return fail("line.not-armed");
    armament = armament_;
  }
  if (!slot.empty() && std::ranges::none_of(slots(), [&](const SlotStatus& one) { return one.slot == slot; }))
    return fail("line.slot-unknown").with("slot", slot);
  IMPRINT_TRY(const auto scan, admission::read_scan(text));
  const admission::SerialRule& rule = armament->rules.armed().product.serial;
  if (!rule.asks_a_person()) return fail("line.no-scan-needed").with("product", armament->rules.armed().product.name);
  // Said at the scanner and not a minute later at a slot.
  IMPRINT_CHECK(admission::read_label(rule, scan.text, typed));
  if (before) IMPRINT_CHECK(before());
  return desk_.put({.text = scan.text, .manual = typed, .by = by, .slot = slot});
}

core::Status Line::reload(config::Configuration configuration) {
  if (!configuration.complaints.empty()) return std::unexpected(config::as_error(configuration.complaints));
  IMPRINT_TRY(SlotMap map, SlotMap::load(configuration.slot_folders));
  {
    const std::scoped_lock lock(mutex_);
    // What the running station was started with stays: its records and sockets do not move.
    configuration.station = configuration_->station;
    configuration_ = std::make_shared<const config::Configuration>(std::move(configuration));
    slot_map_ = std::make_shared<const SlotMap>(std::move(map));
  }
  publish_station("reloaded");
  return {};
}

std::shared_ptr<const config::Configuration> Line::configuration() const {
  const std::scoped_lock lock(mutex_);
  return configuration_;
}

bool Line::is_armed() const {
  const std::scoped_lock lock(mutex_);
  return is_armed_;
}

std::string Line::image() const {
  const std::scoped_lock lock(mutex_);
  return armament_ ? armament_->rules.armed().image : std::string();
}

std::optional<db::OrderId> Line::armed_order() const {
  const std::scoped_lock lock(mutex_);
  return is_armed_ && armament_ ? armament_->rules.armed().order : std::nullopt;
}

std::shared_ptr<engine::VerifiedImage> Line::armed_image() const {
  const std::scoped_lock lock(mutex_);
  return is_armed_ ? armament_->image : nullptr;
}

std::vector<devices::PortPath> Line::ports_of(const std::string& slot) const {
  const std::scoped_lock lock(mutex_);
  return slot_map_->ports_of(slot);
}

std::shared_ptr<const SlotMap> Line::slot_map() const {
  const std::scoped_lock lock(mutex_);
  return slot_map_;
}

std::size_t Line::running() const {
  const std::scoped_lock lock(mutex_);
  return armament_ ? armament_->session->running() : 0;
}

std::vector<SlotStatus> Line::slots() const {
  std::shared_ptr<Armament> armament;
  std::shared_ptr<const SlotMap> map;
  std::vector<SlotStatus> slots;
  bool training = false;
  {
    const std::scoped_lock lock(mutex_);
    armament = armament_;
    map = slot_map_;
    slots = last_slots_;
    training = configuration_->station.training;
  }
  if (armament && !armament->once) return armament->session->snapshot();
  // What they showed when the line was disarmed, as long as it stands there; or those that were chosen. In the order of
  // the slot map, with those that come from a star behind.
  if (armament) slots = armament->session->snapshot();
  std::vector<SlotStatus> all;
  for (const SlotRule& rule : map->rules()) {
    if (rule.has_star()) continue;
    const auto shown = std::ranges::find(slots, rule.name, &SlotStatus::slot);
    SlotStatus& next = all.emplace_back();
    next.slot = rule.name;
    next.training = training;
    if (shown == slots.end()) continue;
    next = std::move(*shown);
    slots.erase(shown);
  }
  std::ranges::move(slots, std::back_inserter(all));
  return all;
}

json::object Line::status() const {
  std::shared_ptr<Armament> armament;
  std::shared_ptr<const config::Configuration> configuration;
  json::object out;
  {
    const std::scoped_lock lock(mutex_);
    armament = armament_;
    configuration = configuration_;
    out["armed"] = is_armed_;
    out["stopping"] = stopping_;
    out["once"] = is_armed_ && armament_ && armament_->once;
    if (loaded_)
      out["loaded"] = json::object{{"product", core::printable(loaded_->what.product)},
                                   {"order", core::printable(loaded_order_)},
                                   {"why_disarmed", core::printable(loaded_->disarm_reason)}};
  }
  out["station"] = configuration->station.id;
  out["name"] = configuration->station.name.empty() ? configuration->station.id : configuration->station.name;
  out["training"] = configuration->station.training;
  if (armament) {
    const Armed& armed = armament->rules.armed();
    out["product"] = core::printable(armed.product.name);
    out["image"] = armed.image;
    out["signer"] = armed.signer;
    out["policy"] = trust::to_string(armed.product.policy);
    out["since"] = core::to_iso8601_local(armament->since);
    out["running"] = armament->session->running();
    if (armed.order) {
      const db::Orders orders(parts_.records);
      const auto order = orders.get(*armed.order);
      const auto progress = orders.progress(*armed.order);
      if (order && progress) out["order"] = to_json(*order, *progress);
    }
    json::array ports;
    for (const devices::PortPath& port : armament->session->refused_ports()) ports.emplace_back(port.text);
    out["refused_ports"] = std::move(ports);
  }
  json::array all;
  for (const SlotStatus& slot : slots()) all.push_back(to_json(slot));
  out["slots"] = std::move(all);
  if (const auto waiting = desk_.waiting()) {
    json::object scan = scan_json(waiting->scan);
    scan["ms_left"] = waiting->left.count();
    out["scan"] = std::move(scan);
  }
  json::array asking;
  for (const std::string& slot : desk_.slots_that_ask()) asking.emplace_back(core::printable(slot));
  out["slots_that_ask_for_a_scan"] = std::move(asking);
  return out;
}

void Line::tick() {
  desk_.look_at_clock();
  std::shared_ptr<Armament> drained;
  const std::scoped_lock lock(mutex_);
  if (!armament_ || is_armed_ || armament_->session->running() > 0) return;
  drained = std::exchange(armament_, nullptr);
  last_slots_ = drained->session->snapshot();
  keep_standing(*drained);
}

void Line::stop(std::chrono::milliseconds patience) {
  std::shared_ptr<Armament> armament;
  bool was_armed = false;
  {
    const std::scoped_lock lock(mutex_);
    stopping_ = true;
    was_armed = std::exchange(is_armed_, false);
    armament = armament_;
  }
  if (!armament) return;
  armament->session->take_no_more();
  const auto deadline = core::Deadline::after(patience);
  // Worth waiting for are those that are nearly done.
  const auto ends_in_time = [&](const SlotStatus& slot) {
    return slot.left && std::chrono::milliseconds(*slot.left) <= deadline.left();
  };
  std::unique_lock wait(stop_mutex_);
  while (!deadline.passed() && armament->session->running() > 0 &&
         std::ranges::any_of(armament->session->snapshot(), ends_in_time))
    finished_.wait_until(wait,
                         std::min(deadline.at(), std::chrono::steady_clock::now() + std::chrono::milliseconds(200)));
  wait.unlock();
  armament->session->end_all();
  {
    const std::scoped_lock lock(mutex_);
    armament_.reset();
  }
  armament.reset();  // waits for what was cancelled
  if (was_armed) static_cast<void>(db::Armings(parts_.records).disarm("the station was stopped", {}));
}

void Line::publish_station(std::string_view what) {
  json::object data = status();
  data.erase("slots");
  data["what"] = what;
  parts_.events.publish("station", std::move(data));
}

void Line::on_slot(const SlotStatus& status) { parts_.events.publish("slot", to_json(status)); }

void Line::on_finished(const AttemptResult& result) {
  parts_.events.publish("attempt", to_json(result, parts_.bus.is_virtual()));
  if (parts_.on_attempt) parts_.on_attempt(result);
  finished_.notify_all();
}

void Line::on_refused_port(const devices::PortPath& port, bool present) {
  {
    // A slot that was not chosen this time.
    const std::scoped_lock lock(mutex_);
    if (slot_map_->slot_of(port)) return;
  }
  parts_.events.publish("port", {{"port", port.text}, {"present", present}});
}

void Line::on_notice(const admission::ScanNotice& notice) {
  json::object data = scan_json(notice.scan);
  data["what"] = admission::to_string(notice.kind);
  data["slot"] = core::printable(notice.slot);
  parts_.events.publish("scan", std::move(data));
}

void Line::on_quarantine(db::QuarantineKind kind, const std::string& subject, const core::Error& why) {
  parts_.events.publish("quarantine", {{"kind", db::to_string(kind)},
                                       {"subject", core::printable(subject)},
                                       {"error", why.id()},
                                       {"message", why.message()},
                                       {"remedy", why.row().remedy}});
}

}  // namespace imprint::station::line
