// SPDX-License-Identifier: GPL-3.0-or-later
// A product's file: the image, who may have signed it, what must be proved, where serials come from, and how patient
// the station is. A value of its own: the station makes the engine's policy of it when it arms.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "flash/core/error_table.hpp"
#include "flash/core/result.hpp"
#include "flash/trust/policy.hpp"
#include "station/admission/quarantine_rule.hpp"
#include "station/admission/serial_rule.hpp"
#include "station/config/complaint.hpp"

namespace imprint::station::config {

enum class Protocol : std::uint8_t { simple_io, ufp, mass_storage, disk };
enum class ReadBack : std::uint8_t { required, where_possible, off };
enum class WriteMode : std::uint8_t { everything, differing };
enum class Erasure : std::uint8_t { none, discard, secure_discard, zero };
enum class AfterPass : std::uint8_t { nothing, reboot, power_off, mass_storage };
enum class Recovery : std::uint8_t { iot_mmos, winre };

// The words of the file: "simple-io", "where-possible", "secure-discard" ...
[[nodiscard]] std::string_view to_string(Protocol value);
[[nodiscard]] std::string_view to_string(ReadBack value);
[[nodiscard]] std::string_view to_string(WriteMode value);
[[nodiscard]] std::string_view to_string(Erasure value);
[[nodiscard]] std::string_view to_string(AfterPass value);
[[nodiscard]] std::string_view to_string(Recovery value);

// The longest that each phase of an attempt may take.
struct PhaseDeadlines {
  std::chrono::milliseconds identify = std::chrono::seconds(30);
  std::chrono::milliseconds scan = std::chrono::seconds(60);  // waiting for a label, the device in its slot
  std::chrono::milliseconds admit =
      std::chrono::seconds(60);  // asking the records and the device before the first byte
  std::chrono::milliseconds erase = std::chrono::minutes(10);
  std::chrono::milliseconds write = std::chrono::minutes(60);
  std::chrono::milliseconds confirm = std::chrono::minutes(5);
  std::chrono::milliseconds read_back = std::chrono::minutes(60);
  std::chrono::milliseconds inspect = std::chrono::minutes(10);
  std::chrono::milliseconds finish = std::chrono::seconds(60);  // what follows a PASS
};

struct Retries {
  unsigned count = 0;               // further tries of one attempt
  std::vector<std::string> errors;  // ids of the error table that are worth one
};

struct ProductFile {
  std::filesystem::path file;  // where it was read from, and each setting in it; not in the digest
  Places places;
  std::string name;  // the product in the records
  std::string description;

  std::string image_digest;                         // identity, 64 digits of lower-case hex; empty: not named
  std::optional<std::filesystem::path> image_file;  // for `imprint station check` and a bench without a store
  trust::Policy policy = trust::Policy::retail;

  std::optional<std::filesystem::path> layout;    // DeviceLayout.xml
  std::optional<std::filesystem::path> platform;  // OEMDevicePlatform.xml
  bool check_bcd = false;
  std::optional<Recovery> recovery;

  admission::SerialRule serial;

  std::vector<Protocol> protocols{Protocol::simple_io, Protocol::ufp, Protocol::mass_storage};
  ReadBack read_back = ReadBack::required;
  WriteMode write = WriteMode::everything;
  Erasure erase = Erasure::none;
  bool verify_erasure = false;
  Erasure rework_erase = Erasure::zero;  // zero or secure_discard
  bool refit_gpt = false;
  Retries retries;
  PhaseDeadlines deadlines;
  std::uint64_t least_pace_bytes = 0;  // in `least_pace_within`; 0: the engine's own
  std::chrono::milliseconds least_pace_within{0};
  unsigned starts_at_once = 0;  // on one hub; 0: no limit
  std::chrono::milliseconds start_stagger{0};
  AfterPass after_pass = AfterPass::nothing;
  std::chrono::milliseconds reboot_time = std::chrono::seconds(30);
  std::optional<admission::QuarantineLimits> quarantine;  // not given: the station's

  // All settings as one text with a fixed order and without comments, paths of rule files left out: what the digest is
  // of. Two files with the same settings have the same text.
  [[nodiscard]] std::string normalised() const;
  // SHA-256 of the normalised settings and of the contents of the rule files, lower-case hex: attempts record it.
  // `io.*` where a rule file cannot be read.
  [[nodiscard]] core::Result<std::string> digest() const;
  // SHA-256 of the contents of the rule files alone.
  [[nodiscard]] core::Result<std::string> rules_digest() const;
};

// `file` is for complaints, and relative paths are relative to its folder. `known_errors`: the product's error table,
// against which [retries] is checked; empty: not checked. Opens nothing.
[[nodiscard]] Parsed<ProductFile> parse_product_file(std::string_view text, const std::filesystem::path& file,
                                                     std::span<const core::ErrorRow> known_errors = {});

}  // namespace imprint::station::config
