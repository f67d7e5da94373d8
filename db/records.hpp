// SPDX-License-Identifier: GPL-3.0-or-later
// The station's records. Rows are only ever added: an attempt is opened, identified, given steps and findings, and
// closed by rows of their own; docs/records.md describes the schema. What readers see as `attempts` is a view over
// those rows.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "flash/core/clock.hpp"
#include "flash/core/result.hpp"

namespace imprint::db {

using AttemptId = std::int64_t;
using UnitId = std::int64_t;
using OrderId = std::int64_t;
using OperatorId = std::int64_t;
using SessionId = std::int64_t;

// Who did it: recorded by number, for names stand outside the chain. Nothing of both: the station itself.
struct Actor {
  std::optional<OperatorId> operator_id{};
  std::optional<SessionId> session{};
};

enum class AttemptVerdict { passed, incomplete, failed, refused, aborted, interrupted };
[[nodiscard]] std::string_view to_string(AttemptVerdict verdict);

// How much a PASS proves; recorded and shown with it.
enum class ProofLevel { none, device_confirmed, read_back, inspected };
[[nodiscard]] std::string_view to_string(ProofLevel level);  // "none", "device-confirmed", "read-back", "inspected"

// Members of every row have initialisers, so that a caller may name only the ones that it has.
struct NewAttempt {
  std::string product{};
  std::string slot{};
  std::string port_path{};
  std::string image_sha256{};  // identity of the image: SHA-256 of its hash table and headers, lower-case hex
  std::string image_signer{};  // subject, empty under policy none
  std::string policy{};
  std::string recipe_digest{};
  std::string trust_digest{};
  std::string program_version{};
  bool training = false;  // virtual devices: marked in every output
  std::optional<OrderId> work_order{};
  std::optional<SessionId> session{};  // of the operator who is signed in; `records.unknown` when there is no such one
  std::string slot_map_digest{};
  std::string rules_digest{};
  std::string reason{};  // for a rework or a re-flash that was known before the device said who it is
};

struct UnitIdentity {
  std::string serial{};  // unique within the product
  std::string device_unique_id{};
  std::string platform_id{};
  std::string protocol{};
  std::string device_serial{};  // the device's own, where the label carries another
  std::string mac{};
  bool manual_serial = false;  // typed by a person, not scanned and not read from the device
  std::string reason{};        // for a rework or a re-flash
};

// Time that a step stood still for want of something.
struct StepWaits {
  std::chrono::milliseconds source{0};  // the image's file was read
  std::chrono::milliseconds hash{0};    // its bytes were hashed
  std::chrono::milliseconds device{0};  // the device took or gave its bytes
};

struct Step {
  std::string
      name{};  // "identify", "claim", "admit", "write", "erase", "gpt-refit", "write-try", "read-back", "inspect"
  bool ok = false;
  core::UtcTime started{};
  std::chrono::milliseconds duration{};
  std::uint64_t bytes = 0;  // moved in this step; the rate follows
  std::string error_id{};
  std::string detail{};
  std::optional<StepWaits> waited{};  // of steps that move an image's bytes
};

struct FindingRow {
  std::string check{};
  std::string verdict{};   // "pass", "fail", "not-checked"
  std::string severity{};  // "error", "warning"
  std::string expected{};
  std::string actual{};
  std::string message{};
};

struct AttemptClose {
  AttemptVerdict verdict = AttemptVerdict::incomplete;
  ProofLevel proof = ProofLevel::none;
  std::string error_id{};     // empty for passed
  std::string error_class{};  // "unit", "image", "station", "operator"; empty for passed
  std::string detail{};
};

struct AttemptRow {
  AttemptId id = 0;
  NewAttempt opening;
  std::optional<UnitId> unit;
  UnitIdentity identity;
  core::UtcTime opened{};
  std::optional<core::UtcTime> closed;
  std::optional<AttemptClose> close;
  int utc_offset_minutes = 0;           // of the station's zone when the attempt was opened
  std::optional<std::int64_t> ordinal;  // which of its unit's conclusive attempts, from 1; nothing when not conclusive
  std::string order_number{};           // of the work order; empty without one
};

// By the time at which an attempt was opened.
struct Period {
  std::optional<core::UtcTime> from;  // inclusive
  std::optional<core::UtcTime> to;    // exclusive
};

// Yield over units whose first conclusive attempt (passed, failed or incomplete) lies in the period. Refused, aborted
// and interrupted attempts are not conclusive; they are counted beside it.
struct YieldRow {
  std::string group{};           // the key's value ("all" when not grouped)
  std::uint64_t units = 0;       // with a conclusive attempt
  std::uint64_t first_pass = 0;  // first conclusive attempt passed
  std::uint64_t final_pass = 0;  // last conclusive attempt passed
  std::uint64_t attempts = 0;    // all
  std::uint64_t refused = 0;     // attempts
  std::uint64_t aborted = 0;     // attempts, aborted or interrupted
  struct Failure {
    std::string error_id{};
    std::uint64_t attempts = 0;
  };
  std::vector<Failure> failures{};  // failed and incomplete attempts by error id, most first
  std::uint64_t training = 0;       // attempts, on virtual devices; more than 0 marks the row in every output
};
// A unit belongs to the group of its first conclusive attempt, every other count to the group of the attempt itself.
// `day` is the station's own day; `platform` is empty for devices that were never identified.
enum class YieldKey { all, product, slot, day, image, platform };
[[nodiscard]] std::string_view to_string(YieldKey key);

struct RecordsOptions {
  std::string vfs{};  // name of a registered SQLite VFS; empty is the system's. Tests fail the Nth call through it.
  std::chrono::milliseconds busy_timeout{5000};  // for a lock that another connection to the file holds for a moment
  bool outbox = true;  // an event for systems beyond the station in the transaction of each closing
  // Of a reader: ends a long query, which then fails with `job.cancelled`.
  std::stop_token stop{};
  // Of a writer: once nobody else is one, and before anything is written. Makes room, say. Its error is open()'s.
  std::function<core::Status()> before_writing{};
};

// What a call failed with is the disk's doing, and may be otherwise in a moment: no row of its own is to blame.
[[nodiscard]] bool is_of_the_disk(const core::Error& error);

// Thread-safe: one connection, calls are serialised. Every call that changes something is one transaction, durable when
// it returns (synchronous=FULL). Calls also fail with `records.read-failed`, `records.write-failed`, `records.locked`,
// `records.damaged`, `io.disk-full` and `io.permission`; a call that failed has left nothing, unless the disk refused
// even the write that takes a failed commit back (README.md, Failures). Orders, People, Chain and the others work
// through the same connection and hold a reference to this object, which must outlive them.
class Records {
 public:
  struct Connection;  // private to this folder

  // Creates or migrates; before a migration the file is backed up beside itself (backup.hpp). `records.open-failed`,
  // `records.newer-schema`, `records.damaged`, `records.locked`. One writer at a time: `<path>.lock` is held until the
  // object goes. The clock must outlive it.
  [[nodiscard]] static core::Result<std::unique_ptr<Records>> open(const std::filesystem::path& path,
                                                                   const core::WallClock& clock,
                                                                   const RecordsOptions& options = {});
  // For reports: read-only, and never creates a database; works beside a writer. `records.older-schema` besides.
  [[nodiscard]] static core::Result<std::unique_ptr<Records>> open_read_only(const std::filesystem::path& path,
                                                                             const RecordsOptions& options = {});
  ~Records();
  Records(const Records&) = delete;
  Records& operator=(const Records&) = delete;

  [[nodiscard]] core::Result<AttemptId> open_attempt(const NewAttempt& attempt);
  // Finds or makes the unit (product and serial) and ties the attempt to it. Once for an attempt
  // (`records.already-identified`). `records.serial-unusable` for an empty serial, one of more than 256 bytes, or one
  // with control characters or invalid UTF-8. All other text is recorded as core::printable shows it.
  [[nodiscard]] core::Result<UnitId> identify(AttemptId attempt, const UnitIdentity& identity);
  // Steps and findings only while the attempt is open (`records.attempt-closed`).
  [[nodiscard]] core::Status add_step(AttemptId attempt, const Step& step);
  [[nodiscard]] core::Status add_findings(AttemptId attempt, std::span<const FindingRow> findings);
  // Once for an attempt (`records.attempt-closed`). A pass needs a proof and a unit (`records.pass-unproven`).
  [[nodiscard]] core::Status close_attempt(AttemptId attempt, const AttemptClose& close);
  // Ends what a crash left open: attempts as interrupted, sessions as closed, what was armed as disarmed, changes
  // beyond the records that were begun as unknown. How many attempts there were.
  [[nodiscard]] core::Result<std::uint64_t> close_interrupted();

  // In the order in which they were opened, whatever the clock said; with `newest` only so many, those opened last.
  // Without it a long period is many rows in memory, and every other call waits until they are read.
  [[nodiscard]] core::Result<std::vector<AttemptRow>> attempts(const Period& period,
                                                               std::optional<std::uint32_t> newest = {}) const;
  // `records.attempt-unknown`.
  [[nodiscard]] core::Result<AttemptRow> attempt(AttemptId attempt) const;
  // Whether there is any attempt of training, or of production: the two do not share records.
  [[nodiscard]] core::Result<bool> has_attempts(bool training) const;
  // Whether an attempt with this unit has passed.
  [[nodiscard]] core::Result<bool> has_passed(UnitId unit) const;
  [[nodiscard]] core::Result<std::vector<Step>> steps(AttemptId attempt) const;
  [[nodiscard]] core::Result<std::vector<FindingRow>> findings(AttemptId attempt) const;
  // Syncs once more what was committed. A file system that becomes read-only in the middle of a sync may call it good
  // (ext4, when the extents that it wrote to cannot be marked as written any more); the next one then fails.
  // `records.write-failed`.
  [[nodiscard]] core::Status confirm() const;
  [[nodiscard]] core::Result<std::vector<YieldRow>> yield(const Period& period, YieldKey key) const;
  // SQLite's integrity and foreign key checks over the whole file: `records.damaged` with what it found.
  [[nodiscard]] core::Status check_integrity() const;

  [[nodiscard]] const std::filesystem::path& path() const;  // symbolic links followed
  [[nodiscard]] Connection& connection() const { return *connection_; }

 private:
  explicit Records(std::unique_ptr<Connection> connection);
  std::unique_ptr<Connection> connection_;
};

}  // namespace imprint::db
