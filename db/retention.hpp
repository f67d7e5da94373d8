// SPDX-License-Identifier: GPL-3.0-or-later
// Taking old rows out by policy. What goes is first listed in rows of its own, which stand in the chain; the digests of
// the rows stay, so the chain proves the rest and the order of all.
#pragma once

#include "db/records.hpp"

namespace imprint::db {

struct RetentionPolicy {
  core::UtcTime before{};  // attempts opened, entries made before
  bool details = true;     // steps and findings of closed attempts
  bool attempts = false;   // closed attempts that are no result: refused, aborted, interrupted, never identified
  bool serials = false;    // besides: units all of whose attempts are old, with those; their serials are free again
  bool audit = false;      // audit entries
  bool outbox = true;      // events that were delivered
  std::string reason{};    // needed
  Actor by{};
};

struct Retired {
  std::uint64_t attempts = 0;
  std::uint64_t units = 0;
  std::uint64_t steps = 0;
  std::uint64_t findings = 0;
  std::uint64_t audit = 0;
  std::uint64_t outbox = 0;
};

// Thread-safe, as Records is.
class Retention {
 public:
  explicit Retention(const Records& records) : records_(records) {}

  // One transaction. Attempts with a correction, a scrapped or quarantined unit, or of an open order stay, as do rows
  // that others refer to. `records.value-unusable` without a reason or with serials but without attempts.
  [[nodiscard]] core::Result<Retired> retire(const RetentionPolicy& policy) const;
  // What retire would take now.
  [[nodiscard]] core::Result<Retired> preview(const RetentionPolicy& policy) const;

 private:
  const Records& records_;
};

}  // namespace imprint::db
