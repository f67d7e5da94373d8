// SPDX-License-Identifier: GPL-3.0-or-later
// Everything that stands between a product's name and an armed line.
#include <fmt/format.h>

#include <algorithm>
#include <ranges>

#include "db/admissions.hpp"
#include "db/serials.hpp"
#include "db/together.hpp"
#include "flash/core/digest.hpp"
#include "flash/core/text.hpp"
#include "station/errors.hpp"
#include "station/images/errors.hpp"
#include "station/line/admission_row.hpp"
#include "station/line/armament.hpp"
#include "station/line/errors.hpp"
#include "station/line/recipe_of.hpp"

namespace imprint::station::line {
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

}  // namespace

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
  // With a leave, a unit of the order is flashed again: that makes it no fuller.
  if (progress.remaining == 0 && !leaves_.has_any(product.name))
    return fail("order.quantity-reached").with("order", order);
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

// Who works on the store's folder while no station runs leaves a decision there and none in the records.
core::Status Line::note_image(const std::string& digest) const {
  const db::Admissions admissions(parts_.records);
  return db::together(parts_.records, [&]() -> core::Status {
    IMPRINT_TRY(const auto standing, admissions.standing(digest));
    if (standing && standing->admission.decision == "admitted") return {};
    // A withdrawal is in the store before it is in the records: one that comes meanwhile is seen in one of the two.
    IMPRINT_TRY(const auto record, parts_.images.find(digest));
    if (record.withdrawn) return images::fail("store.image-withdrawn", record.withdrawn->reason);
    IMPRINT_TRY(const auto id,
                admissions.add(admission_row(record, "admitted", "beside the station, at its store", {})));
    static_cast<void>(id);
    return {};
  });
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

core::Status Line::check_policy(const config::ProductFile& product, const config::Configuration& configuration) {
  // Products are held to the station.toml that they were read with; this is the one that the station runs by.
  if (static_cast<int>(product.policy) <= static_cast<int>(configuration.station.policy)) return {};
  return fail("line.policy-laxer")
      .with("product", trust::to_string(product.policy))
      .with("station", trust::to_string(configuration.station.policy));
}

core::Result<const config::ProductFile*> Line::product_of(const config::Configuration& configuration,
                                                          const std::string& name) {
  const config::ProductFile* product = configuration.find(name);
  if (product == nullptr) return fail("line.product-unknown").with("product", name);
  IMPRINT_CHECK(check_policy(*product, configuration));
  return product;
}

core::Result<Line::Ready> Line::make_ready(const config::ProductFile& product, const std::string& order,
                                           const db::Actor& by, const config::Configuration& configuration,
                                           const SlotMap& map) const {
  Ready ready;
  IMPRINT_TRY(ready.armed, prepare(product, order, by, configuration));
  IMPRINT_TRY(ready.image, take_image(product, configuration));
  IMPRINT_TRY(ready.recipe, recipe_of(product));
  ready.armed.image = ready.image.image->identity();
  if (ready.image.decision.signer) ready.armed.signer = ready.image.decision.signer->subject;
  IMPRINT_CHECK(check_quarantines(ready.armed));
  IMPRINT_CHECK(note_image(ready.armed.image));
  IMPRINT_TRY(ready.armed.range, register_range(product, by));
  ready.armed.slot_map_digest = digest_of(map);
  IMPRINT_CHECK(note_slot_map(map, ready.armed.slot_map_digest));
  return ready;
}

core::Status Line::arm(const std::string& product_name, const std::string& order, const db::Actor& by) {
  const std::scoped_lock turn(turn_);
  std::shared_ptr<const config::Configuration> configuration;
  std::shared_ptr<const SlotMap> map;
  {
    const std::scoped_lock lock(mutex_);
    if (stopping_) return fail("line.stopping");
    if (armament_ && (armament_->session->running() > 0 || (armament_->once && is_armed_))) return fail("line.busy");
    configuration = configuration_;
    map = slot_map_;
  }
  IMPRINT_TRY(const config::ProductFile* product, product_of(*configuration, product_name));
  if (map->empty())
    return station::fail("station.slot-map-invalid", "no slot file names a port; imprint devices --learn writes one");
  IMPRINT_TRY(Ready ready, make_ready(*product, order, by, *configuration, *map));
  IMPRINT_CHECK(make_room());
  // The row first: what cannot be written is not armed. It ends the row of what was armed before.
  const db::NewArming row{product->name, ready.armed.order, ready.armed.recipe_digest, ready.armed.image, by};
  IMPRINT_TRY(const auto arming, db::Armings(parts_.records).arm(row));
  static_cast<void>(arming);
  disarm_quietly();
  const core::Status started = start(std::move(ready), map, *configuration, order, {});
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
core::Status Line::start(Ready ready, const std::shared_ptr<const SlotMap>& map,
                         const config::Configuration& configuration, const std::string& order,
                         std::vector<SlotConfig> chosen) {
  desk_.clear();  // a label of the product before is none of this one's
  auto armament = std::make_shared<Armament>(parts_, desk_, leaves_, std::move(ready.armed),
                                             [this](db::QuarantineKind kind, const std::string& subject,
                                                    const core::Error& why) { on_quarantine(kind, subject, why); });
  armament->once = !chosen.empty();
  armament->order_number = order;
  armament->since = parts_.clock.now();
  armament->image = ready.image.image;
  SessionConfig session{.recipe = std::move(ready.recipe),
                        .image = std::move(ready.image),
                        .slots = chosen.empty() ? slots_of(*map) : std::move(chosen),
                        .scratch = configuration.station.scratch};
  session.training = configuration.station.training;
  session.recorder = parts_.recorder;
  session.rules = &armament->rules;
  session.observer = this;
  session.once = armament->once;
  if (!armament->once) {
    // What was asked for once was asked for by somebody who knows what stands there.
    session.latched = standing_.slots();
    session.slot_of = [map](const devices::PortPath& port) -> std::optional<std::string> {
      const auto slot = map->slot_of(port);
      return slot ? std::optional(slot->name) : std::nullopt;
    };
  }
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
  is_armed_ = true;
  if (!armament->once) {
    loaded_.reset();
    loaded_order_.clear();
  }
  armament_ = std::move(armament);
  return {};
}

// A product's numbers are the records', once they were armed with.
core::Result<std::optional<db::RangeId>> Line::register_range(const config::ProductFile& product,
                                                              const db::Actor& by) const {
  if (product.serial.source != admission::SerialSource::allocated || !product.serial.range) return std::nullopt;
  const admission::SerialRange& range = *product.serial.range;
  // Everything that makes a serial of a number: another width is another range.
  const std::string format =
      fmt::format("{} width {} check {}", range.prefix, range.width, static_cast<int>(range.check_digit));
  const db::Serials serials(parts_.records);
  IMPRINT_TRY(const auto known, serials.ranges(product.name));
  for (const db::RangeRow& row : known)
    if (row.range.first == range.first && row.range.last == range.last && row.range.format == format) return row.id;
  IMPRINT_TRY(const auto id, serials.add_range({product.name, range.first, range.last, format, by}));
  return id;
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

}  // namespace imprint::station::line
