// SPDX-License-Identifier: GPL-3.0-or-later
// Arming, disarming, and what is told of it.
#include "station/line/line.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/value.hpp>

#include "db/admissions.hpp"
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
      : rules(parts.records, parts.clock, desk, leaves, std::move(armed), std::move(on_quarantine)) {}

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
    for (std::size_t i = 1; i < rule.ports.size(); ++i) slot.other_ports.push_back({rule.ports[i]});
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
    : parts_(parts),
      desk_({.hold = configuration.station.scan_hold,
             .notice = [this](const admission::ScanNotice& notice) { on_notice(notice); }}),
      configuration_(std::make_shared<const config::Configuration>(std::move(configuration))) {}

void Line::Standing::keep(const std::vector<LatchedSlot>& slots) {
  const std::scoped_lock lock(mutex_);
  for (const LatchedSlot& slot : slots) slots_[slot.port] = slot.name;
}

std::vector<std::string> Line::Standing::slots() const {
  const std::scoped_lock lock(mutex_);
  std::vector<std::string> names;
  for (const auto& [port, name] : slots_) names.push_back(name);
  return names;
}

void Line::Standing::on_departure(const devices::PortPath& port) {
  const std::scoped_lock lock(mutex_);
  slots_.erase(port);
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
  const config::ProductFile* product = configuration->find(product_name);
  if (product == nullptr) return fail("line.product-unknown").with("product", product_name);
  if (map->empty())
    return station::fail("station.slot-map-invalid", "no slot file names a port; imprint devices --learn writes one");
  IMPRINT_TRY(Armed armed, prepare(*product, order, by, *configuration));
  IMPRINT_TRY(ArmedImage image, take_image(*product, *configuration));
  IMPRINT_TRY(Recipe recipe, recipe_of(*product));
  armed.image = image.image->identity();
  if (image.decision.signer) armed.signer = image.decision.signer->subject;
  for (const auto& [kind, subject] :
       {std::pair(db::QuarantineKind::image, armed.image), std::pair(db::QuarantineKind::signer, armed.signer)}) {
    if (subject.empty()) continue;
    IMPRINT_TRY(const auto found, db::Quarantines(parts_.records).is_quarantined(kind, subject));
    if (!found) continue;
    return kind == db::QuarantineKind::image ? fail("quarantine.image", found->why).with("image", subject)
                                             : fail("quarantine.signer", found->why).with("signer", subject);
  }
  armed.slot_map_digest = digest_of(*map);
  IMPRINT_CHECK(note_slot_map(*map, armed.slot_map_digest));
  const db::NewArming row{product->name, armed.order, armed.recipe_digest, armed.image, by};
  disarm_quietly();
  IMPRINT_TRY(const auto arming, db::Armings(parts_.records).arm(row));
  static_cast<void>(arming);
  auto armament = std::make_shared<Armament>(parts_, desk_, leaves_, std::move(armed),
                                             [this](db::QuarantineKind kind, const std::string& subject,
                                                    const core::Error& why) { on_quarantine(kind, subject, why); });
  armament->order_number = order;
  armament->since = parts_.clock.now();
  armament->image = image.image;
  SessionConfig session{.recipe = std::move(recipe),
                        .image = std::move(image),
                        .slots = slots_of(*map),
                        .scratch = configuration->station.scratch};
  session.slot_of = [map](const devices::PortPath& port) -> std::optional<std::string> {
    const auto slot = map->slot_of(port);
    return slot ? std::optional(slot->name) : std::nullopt;
  };
  session.training = configuration->station.training;
  session.recorder = parts_.recorder;
  session.rules = &armament->rules;
  session.observer = this;
  session.latched = standing_.slots();
  auto started = Session::start(std::move(session), parts_.bus, parts_.records, parts_.clock);
  if (!started) {
    static_cast<void>(db::Armings(parts_.records).disarm("it could not be started", {}));
    return std::unexpected(std::move(started).error());
  }
  armament->session = std::move(*started);
  {
    const std::scoped_lock lock(mutex_);
    armament_ = std::move(armament);
    is_armed_ = true;
    loaded_.reset();
    loaded_order_.clear();
  }
  publish_station("armed");
  return {};
}

// What was armed before makes room, the records' row with it; nothing runs there any more.
void Line::disarm_quietly() {
  std::shared_ptr<Armament> former;
  const std::scoped_lock lock(mutex_);
  is_armed_ = false;
  former = std::exchange(armament_, nullptr);
  if (!former) return;
  former->session->take_no_more();
  standing_.keep(former->session->latched());
}

core::Status Line::disarm(const std::string& reason, const db::Actor& by) {
  const std::scoped_lock turn(turn_);
  {
    const std::scoped_lock lock(mutex_);
    if (!is_armed_) return fail("line.not-armed");
  }
  // The row first: if it cannot be written, the line stays as it is said to be.
  IMPRINT_TRY(const bool was_armed, db::Armings(parts_.records).disarm(reason, by));
  static_cast<void>(was_armed);
  IMPRINT_TRY(auto loaded, db::Armings(parts_.records).last_loaded());
  {
    const std::scoped_lock lock(mutex_);
    is_armed_ = false;
    loaded_ = std::move(loaded);
    loaded_order_ = armament_->order_number;
    armament_->session->take_no_more();
  }
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
  {
    const std::scoped_lock lock(mutex_);
    armament = armament_;
    map = slot_map_;
  }
  if (armament) return armament->session->snapshot();
  std::vector<SlotStatus> slots;
  for (const SlotRule& rule : map->rules()) {
    if (rule.has_star()) continue;
    slots.emplace_back().slot = rule.name;
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
  standing_.keep(drained->session->latched());
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
