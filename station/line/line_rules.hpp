// SPDX-License-Identifier: GPL-3.0-or-later
// What an armed line asks of every device: a label, an order that still wants units, nothing in quarantine, no unit
// twice; and what it makes of how the attempt ended.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "db/orders.hpp"
#include "db/quarantines.hpp"
#include "db/serials.hpp"
#include "db/units.hpp"
#include "station/admission/scan_desk.hpp"
#include "station/attempt_rules.hpp"
#include "station/config/product_file.hpp"

namespace imprint::station::line {

// What was armed; set once for a session.
struct Armed {
  config::ProductFile product;
  admission::QuarantineLimits quarantine;
  std::optional<db::OrderId> order;
  std::optional<db::RangeId> range;  // of allocated serials
  std::string recipe_digest;
  std::string rules_digest;
  std::string slot_map_digest;
  std::string image;   // identity
  std::string signer;  // subject; empty under policy none
  db::Actor by;
  bool once = false;  // chosen slots, each once: `by` asked for it, whoever else is signed in
};

// A leave to flash a unit that would be refused, given by a person and taken by one attempt.
struct GivenLeave {
  Leave leave;
  bool other_device = false;  // also where the records know the device under another serial
  db::Actor by;
};

// Whoever is signed in and worked last; asking counts as work. Nothing: nobody is.
using AtWork = std::function<std::optional<db::Actor>()>;

// Leaves of all products; they outlive an arming. Thread-safe.
class Leaves {
 public:
  void give(const std::string& product, const std::string& serial, GivenLeave leave);
  [[nodiscard]] bool forgives_device(const std::string& product, const std::string& serial);
  [[nodiscard]] std::optional<GivenLeave> take(const std::string& product, const std::string& serial);
  // Is there one for any unit of the product?
  [[nodiscard]] bool has_any(const std::string& product) const;

 private:
  static constexpr std::size_t kMost = 1000;
  mutable std::mutex mutex_;
  std::map<std::pair<std::string, std::string>, GivenLeave> leaves_;
};

// Thread-safe.
class LineRules final : public AttemptRules {
 public:
  // Something was put into quarantine: kind, subject, why. Called from a slot's thread.
  using OnQuarantine = std::function<void(db::QuarantineKind kind, const std::string& subject, const core::Error& why)>;

  // All of it outlives the rules.
  struct Parts {
    db::Records& records;
    const core::WallClock& clock;
    admission::ScanDesk& desk;
    Leaves& leaves;
    AtWork at_work;
  };
  LineRules(Parts parts, Armed armed, OnQuarantine on_quarantine);
  // The line was disarmed: who has not claimed a unit yet is refused.
  void close() { closed_ = true; }

  void arrived(const std::string& slot) override;
  void left(const std::string& slot) override;
  void describe(db::NewAttempt& attempt) override;
  [[nodiscard]] core::Result<UnitClaim> claim(const std::string& slot, const engine::DeviceIdentity& identity,
                                              const std::stop_token& stop) override;
  [[nodiscard]] core::Result<Leave> admit(const std::string& slot, const UnitClaim& claim,
                                          const engine::DeviceIdentity& identity) override;
  [[nodiscard]] core::Result<std::optional<std::string>> waiver_of(const std::string& check, db::UnitId unit) override;
  void recorded(const std::string& slot) override;
  void ended(const AttemptResult& result, std::optional<db::UnitId> unit) override;

  [[nodiscard]] const Armed& armed() const { return armed_; }

 private:
  [[nodiscard]] core::Status check_protocol(const engine::DeviceIdentity& identity) const;
  [[nodiscard]] core::Status check_quarantine(db::QuarantineKind kind, const std::string& subject) const;
  [[nodiscard]] core::Result<bool> take_place(const std::string& slot);
  [[nodiscard]] core::Result<bool> counts_already(const std::string& serial) const;
  [[nodiscard]] core::Status check_mac(const UnitClaim& claim) const;
  [[nodiscard]] core::Result<UnitClaim> claim_serial(const std::string& slot, const engine::DeviceIdentity& identity,
                                                     const std::stop_token& stop, bool may_be_new);
  [[nodiscard]] core::Result<std::string> allocated_serial(const engine::DeviceIdentity& identity, bool may_be_new);
  [[nodiscard]] core::Status check_device_of_unit(const UnitClaim& claim, const engine::DeviceIdentity& identity) const;
  [[nodiscard]] core::Result<Leave> leave_or(const UnitClaim& claim, std::optional<core::Error> refusal);
  void judge_unit(const AttemptResult& result, db::UnitId unit);
  void judge_slot(const AttemptResult& result);

  Parts parts_;
  db::Records& records_;
  admission::ScanDesk& desk_;
  Leaves& leaves_;
  std::atomic<bool> closed_ = false;
  const Armed armed_;
  OnQuarantine on_quarantine_;
  std::mutex mutex_;
  std::set<std::string> places_;                          // slots whose attempt may become one of the order's units
  std::map<std::string, std::set<std::string>> failing_;  // serials that failed in a slot since its last pass
};

}  // namespace imprint::station::line
