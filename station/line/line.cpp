// SPDX-License-Identifier: GPL-3.0-or-later
// Arming, disarming, and what is told of it.
#include "station/line/line.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/value.hpp>
#include <ranges>

#include "db/admissions.hpp"
#include "db/serials.hpp"
#include "flash/core/deadline.hpp"
#include "flash/core/digest.hpp"
#include "flash/core/text.hpp"
#include "station/admission/scan_text.hpp"
#include "station/error_table.hpp"
#include "station/errors.hpp"
#include "station/line/errors.hpp"
#include "station/line/line_json.hpp"
#include "station/line/recipe_of.hpp"

namespace imprint::station::line {

namespace json = boost::json;

struct Line::Armament {
  Armament(const LineParts& parts, admission::ScanDesk& desk, Leaves& leaves, Armed armed,
           LineRules::OnQuarantine on_quarantine)
      : rules({parts.records, parts.clock, desk, leaves, parts.at_work}, std::move(armed), std::move(on_quarantine)) {}

  LineRules rules;
  std::string order_number;
  core::UtcTime since;
  std::shared_ptr<engine::VerifiedImage> image;
  std::unique_ptr<Session> session;  // last: it ends before what it asks
};

namespace {

// Of the rules as they are meant, so that comments and the order of files make no other map.
std::string text_of(const SlotMap& map) {
  std::string text;
  for (const SlotRule& rule : map.rules()) {
    text += rule.name + " =";
    for (const std::string& port : rule.ports) text += " " + port;
    text += fmt::format(" {}\n", static_cast<int>(rule.disks));
  }
  return text;
}

std::string digest_of(const SlotMap& map) { return core::to_hex(core::sha256(core::as_bytes(text_of(map)))); }

std::vector<SlotConfig> slots_of(const SlotMap& map) {
  std::vector<SlotConfig> slots;
  for (const SlotRule& rule : map.rules()) {
    if (rule.has_star() || rule.ports.empty()) continue;
    SlotConfig slot{rule.name, {rule.ports.front()}};
    for (const std::string& port : rule.ports | std::views::drop(1)) slot.other_ports.push_back({port});
    slots.push_back(std::move(slot));
  }
  return slots;
}

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

void Line::Standing::keep(const std::vector<LatchedSlot>& slots, std::chrono::milliseconds reboot_time) {
  const std::scoped_lock lock(mutex_);
  for (const LatchedSlot& slot : slots) ports_[slot.port] = {slot.left, reboot_time};
}

void Line::Standing::occupy(const std::vector<devices::PortPath>& ports) {
  const std::scoped_lock lock(mutex_);
  for (const devices::PortPath& port : ports) ports_[port] = {};
}

std::vector<LatchedSlot> Line::Standing::slots() const {
  const std::scoped_lock lock(mutex_);
  std::vector<LatchedSlot> slots;
  for (const auto& [port, unit] : ports_)
    if (!unit.is_gone(Clock::now())) slots.push_back({port, unit.left});
  return slots;
}

// Back within the time of a reboot: it may be that one.
void Line::Standing::on_arrival(const devices::PortPath& port) {
  const std::scoped_lock lock(mutex_);
  const auto found = ports_.find(port);
  if (found == ports_.end()) return;
  if (found->second.is_gone(Clock::now())) {
    ports_.erase(found);
  } else {
    found->second.left.reset();
  }
}

void Line::Standing::on_departure(const devices::PortPath& port) {
  {
    const std::scoped_lock lock(mutex_);
    const auto found = ports_.find(port);
    if (found != ports_.end()) found->second.left = Clock::now();
  }
  line_.forget_result(port);
}

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

Line::~Line() { stop(std::chrono::milliseconds(0)); }

core::Result<Armed> Line::prepare(const config::ProductFile& product, const std::string& order, const db::Actor& by,
                                  const config::Configuration& configuration) const {
  Armed armed;
  armed.product = product;
  armed.quarantine = product.quarantine.value_or(configuration.station.quarantine);
  armed.by = by;
  IMPRINT_TRY(armed.recipe_digest, product.digest());
  IMPRINT_TRY(armed.rules_digest, product.rules_digest());
  if (order.empty()) return armed;
  const db::Orders orders(parts_.records);
  auto found = orders.find(order);
  if (!found) {
    if (found.error().id() != "records.unknown") return std::unexpected(std::move(found).error());
    return fail("order.unknown").with("order", order);
  }
  if (found->closed) return fail("order.closed", found->closed_reason).with("order", order);
  if (found->product != product.name) return fail("order.other-product").with("product", found->product);
  IMPRINT_TRY(const auto progress, orders.progress(found->id));
  if (progress.remaining == 0) return fail("order.quantity-reached").with("order", order);
  armed.order = found->id;
  return armed;
}

// Admitted once, and judged again each time: a certificate may have been revoked since.
core::Result<ArmedImage> Line::take_image(const config::ProductFile& product,
                                          const config::Configuration& configuration) const {
  if (product.image_digest.empty()) return fail("line.image-unnamed").with("product", product.name);
  IMPRINT_TRY(auto opened, parts_.images.open_image(product.image_digest));
  auto store = trust::TrustStore::empty();
  if (product.policy != trust::Policy::none) {
    IMPRINT_TRY(store, trust::TrustStore::load(configuration.station.trust));
  }
  ArmedImage armed{opened.image, trust::decide(opened.image->image(), product.policy, store, parts_.clock.now()),
                   store.digest()};
  if (!armed.decision.accepted) return std::unexpected(armed.decision.refusal());
  return armed;
}

core::Status Line::note_slot_map(const SlotMap& map, const std::string& digest) const {
  std::vector<db::SlotOfMap> slots;
  for (const SlotRule& rule : map.rules()) {
    std::string ports;
    for (const std::string& port : rule.ports) ports += (ports.empty() ? "" : " ") + port;
    slots.push_back({rule.name, ports});
  }
  return db::Admissions(parts_.records).note_slot_map(digest, slots);
}

// The one that was armed before takes no device any more. False while devices are worked on; it then goes on as it was.
core::Status Line::make_room() {
  const std::scoped_lock lock(mutex_);
  if (stopping_) return fail("line.stopping");
  if (!armament_) return {};
  if (armament_->session->running() > 0) return fail("line.busy");
  armament_->session->take_no_more();
  if (armament_->session->running() == 0) return {};
  // One came in just then: it is finished first, and nobody comes after it.
  return fail("line.busy");
}

core::Status Line::check_quarantines(const Armed& armed) const {
  const db::Quarantines quarantines(parts_.records);
  IMPRINT_TRY(const auto image, quarantines.is_quarantined(db::QuarantineKind::image, armed.image));
  if (image) return fail("quarantine.image", image->why).with("image", armed.image);
  if (armed.signer.empty()) return {};
  IMPRINT_TRY(const auto signer, quarantines.is_quarantined(db::QuarantineKind::signer, armed.signer));
  if (signer) return fail("quarantine.signer", signer->why).with("signer", armed.signer);
  return {};
}

core::Result<const config::ProductFile*> Line::product_of(const config::Configuration& configuration,
                                                          const std::string& name) {
  const config::ProductFile* product = configuration.find(name);
  if (product == nullptr) return fail("line.product-unknown").with("product", name);
  // Products are held to the station.toml that they were read with; this is the one that the station runs by.
  if (static_cast<int>(product->policy) > static_cast<int>(configuration.station.policy))
    return fail("line.policy-laxer")
        .with("product", trust::to_string(product->policy))
        .with("station", trust::to_string(configuration.station.policy));
  return product;
}

core::Status Line::arm(const std::string& product_name, const std::string& order, const db::Actor& by) {
  const std::scoped_lock turn(turn_);
  std::shared_ptr<const config::Configuration> configuration;
  std::shared_ptr<const SlotMap> map;
  {
    const std::scoped_lock lock(mutex_);
    if (stopping_) return fail("line.stopping");
    if (armament_ && armament_->session->running() > 0) return fail("line.busy");
    configuration = configuration_;
    map = slot_map_;
  }
  IMPRINT_TRY(const config::ProductFile* product, product_of(*configuration, product_name));
  if (map->empty())
    return station::fail("station.slot-map-invalid", "no slot file names a port; imprint devices --learn writes one");
  IMPRINT_TRY(Armed armed, prepare(*product, order, by, *configuration));
  IMPRINT_TRY(ArmedImage image, take_image(*product, *configuration));
  IMPRINT_TRY(Recipe recipe, recipe_of(*product));
  armed.image = image.image->identity();
  if (image.decision.signer) armed.signer = image.decision.signer->subject;
  IMPRINT_CHECK(check_quarantines(armed));
  IMPRINT_CHECK(register_range(armed.product, by));
  armed.slot_map_digest = digest_of(*map);
  IMPRINT_CHECK(note_slot_map(*map, armed.slot_map_digest));
  IMPRINT_CHECK(make_room());
  // The row first: what cannot be written is not armed. It ends the row of what was armed before.
  const db::NewArming row{product->name, armed.order, armed.recipe_digest, armed.image, by};
  IMPRINT_TRY(const auto arming, db::Armings(parts_.records).arm(row));
  static_cast<void>(arming);
  disarm_quietly();
  const core::Status started = start(std::move(armed), std::move(image), std::move(recipe), map, *configuration, order);
  if (!started) {
    static_cast<void>(db::Armings(parts_.records).disarm("it could not be started", {}));
    note_loaded(order);
    publish_station("disarmed");
    return started;
  }
  publish_station("armed");
  return {};
}

// With the turn, and nothing armed.
core::Status Line::start(Armed armed, ArmedImage image, Recipe recipe, const std::shared_ptr<const SlotMap>& map,
                         const config::Configuration& configuration, const std::string& order) {
  desk_.clear();  // a label of the product before is none of this one's
  auto armament = std::make_shared<Armament>(parts_, desk_, leaves_, std::move(armed),
                                             [this](db::QuarantineKind kind, const std::string& subject,
                                                    const core::Error& why) { on_quarantine(kind, subject, why); });
  armament->order_number = order;
  armament->since = parts_.clock.now();
  armament->image = image.image;
  SessionConfig session{.recipe = std::move(recipe),
                        .image = std::move(image),
                        .slots = slots_of(*map),
                        .scratch = configuration.station.scratch};
  session.slot_of = [map](const devices::PortPath& port) -> std::optional<std::string> {
    const auto slot = map->slot_of(port);
    return slot ? std::optional(slot->name) : std::nullopt;
  };
  session.training = configuration.station.training;
  session.recorder = parts_.recorder;
  session.rules = &armament->rules;
  session.observer = this;
  session.latched = standing_.slots();
  // A stop that comes from here on finds the line armed, or is found by it.
  {
    const std::scoped_lock lock(mutex_);
    if (stopping_) return fail("line.stopping");
  }
  IMPRINT_TRY(armament->session, Session::start(std::move(session), parts_.bus, parts_.records, parts_.clock));
  const std::scoped_lock lock(mutex_);
  if (stopping_) {
    armament->session->cancel_all();
    return fail("line.stopping");
  }
  armament_ = std::move(armament);
  is_armed_ = true;
  loaded_.reset();
  loaded_order_.clear();
  return {};
}

// A product's numbers are the records', once they were armed with.
core::Status Line::register_range(const config::ProductFile& product, const db::Actor& by) const {
  if (product.serial.source != admission::SerialSource::allocated || !product.serial.range) return {};
  const admission::SerialRange& range = *product.serial.range;
  const db::Serials serials(parts_.records);
  IMPRINT_TRY(const auto known, serials.ranges(product.name));
  for (const db::RangeRow& row : known)
    if (row.range.first == range.first && row.range.last == range.last && row.range.format == range.prefix) return {};
  IMPRINT_TRY(const auto id, serials.add_range({product.name, range.first, range.last, range.prefix, by}));
  static_cast<void>(id);
  return {};
}

void Line::note_loaded(const std::string& order) {
  auto loaded = db::Armings(parts_.records).last_loaded();
  const std::scoped_lock lock(mutex_);
  if (loaded) loaded_ = std::move(*loaded);
  loaded_order_ = order;
}

// What was armed before makes room, the records' row with it; nothing runs there any more.
void Line::disarm_quietly() {
  std::shared_ptr<Armament> former;
  const std::scoped_lock lock(mutex_);
  is_armed_ = false;
  former = std::exchange(armament_, nullptr);
  if (!former) return;
  former->session->take_no_more();
  keep_standing(*former);
}

core::Status Line::disarm(const std::string& reason, const db::Actor& by) {
  const std::scoped_lock turn(turn_);
  {
    const std::scoped_lock lock(mutex_);
    if (!is_armed_ || !armament_) return fail("line.not-armed");
  }
  // The row first: if it cannot be written, the line stays as it is said to be.
  IMPRINT_TRY(const bool was_armed, db::Armings(parts_.records).disarm(reason, by));
  static_cast<void>(was_armed);
  std::string order;
  {
    const std::scoped_lock lock(mutex_);
    is_armed_ = false;
    // A stop may have taken it away meanwhile.
    if (armament_) {
      order = armament_->order_number;
      armament_->rules.close();
      armament_->session->take_no_more();
    }
  }
  note_loaded(order);
  desk_.clear();
  // Nobody is going to scan for them.
  for (const std::string& slot : desk_.slots_that_ask()) static_cast<void>(cancel(slot));
  publish_station("disarmed");
  return {};
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
                                                    const std::string& by) {
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
  IMPRINT_CHECK(admission::check_serial(rule, admission::serial_of_label(rule, scan.text), typed));
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
  if (armament) return armament->session->snapshot();
  // What they showed when the line was disarmed, as long as it stands there.
  for (const SlotRule& rule : map->rules()) {
    if (rule.has_star() || std::ranges::find(slots, rule.name, &SlotStatus::slot) != slots.end()) continue;
    SlotStatus& empty = slots.emplace_back();
    empty.slot = rule.name;
    empty.training = training;
  }
  return slots;
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
  armament->session->cancel_all();
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
