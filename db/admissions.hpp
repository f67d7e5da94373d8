// SPDX-License-Identifier: GPL-3.0-or-later
// What the station decided about images, and which slot maps it worked with.
#pragma once

#include "db/records.hpp"

namespace imprint::db {

using AdmissionId = std::int64_t;

struct NewAdmission {
  std::string sha256{};  // identity of the image
  std::uint64_t size = 0;
  std::string signer{};     // subject; empty when unsigned
  std::string policy{};     // under which it was decided
  std::string decision{};   // "admitted", "refused", "withdrawn"
  std::string sealed_by{};  // "fs-verity", "read-only", or empty when it is not kept
  std::string error_id{};   // why it was refused
  std::string detail{};
  Actor by{};
};
struct AdmissionRow {
  AdmissionId id = 0;
  NewAdmission admission;
  core::UtcTime at{};
};

struct SlotOfMap {
  std::string name{};
  std::string ports{};  // as the slot map writes them
};

// Thread-safe, as Records is.
class Admissions {
 public:
  explicit Admissions(const Records& records) : records_(records) {}

  // `records.value-unusable` for another decision or no digest.
  [[nodiscard]] core::Result<AdmissionId> add(const NewAdmission& admission) const;
  // The newest decision that is no refusal; nothing when there is none. A refusal of another copy of the image changes
  // nothing.
  [[nodiscard]] core::Result<std::optional<AdmissionRow>> standing(std::string_view sha256) const;
  [[nodiscard]] core::Result<std::vector<AdmissionRow>> list() const;

  // Records a version of the slot map under its digest; one that is known already is left as it is.
  [[nodiscard]] core::Status note_slot_map(const std::string& digest, std::span<const SlotOfMap> slots) const;
  // In the order of the map; empty when the digest is not known.
  [[nodiscard]] core::Result<std::vector<SlotOfMap>> slot_map(std::string_view digest) const;

 private:
  const Records& records_;
};

}  // namespace imprint::db
