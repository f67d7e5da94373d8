// SPDX-License-Identifier: GPL-3.0-or-later
// Reports as JSON objects: the same, whether the daemon makes them for the API or a command makes them of a file.
// docs/records.md has the definitions, docs/api.md the members.
#pragma once

#include <boost/json/fwd.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "db/export.hpp"
#include "db/records.hpp"
#include "flash/core/result.hpp"
#include "station/config/station_file.hpp"

namespace imprint::station::reports {

enum class Kind { yield, failures, slots, shift };

// Texts as somebody wrote them; empty: not said.
struct Request {
  Kind kind = Kind::yield;
  std::string by{};  // of yield and failures
  std::string from{};
  std::string to{};
  std::string shift{};  // of the shift's report, which takes `from` and `to` or these two
  std::string date{};
};

// What a report says of the station, which is not in the records.
struct Station {
  std::string id = "station";
  std::span<const config::Shift> shifts{};
  core::UtcTime now{};
  bool training = false;  // also where its records have no attempt yet that says so
};

// `usage.invalid` for what cannot be understood, `records.*`.
[[nodiscard]] core::Result<boost::json::object> make_report(const db::Records& records, const Request& request,
                                                            const Station& station);
// Of a period that somebody wrote; `usage.invalid`.
[[nodiscard]] core::Result<db::Period> period_of(std::string_view from, std::string_view to);

// The head of the chain under a shift's report: whoever keeps the sheet can prove the records by it. `error`: why it is
// not signed, where the station has a key.
struct SignedHead {
  std::string text;
  std::string signature;    // empty: not signed
  std::string fingerprint;  // of the key, where it is signed
  std::string error{};
};
// `records.head-malformed`.
[[nodiscard]] core::Status add_head(boost::json::object& report, const SignedHead& head);

// Every attempt of a period, a page at a time. The pages' texts one after the other are the whole.
enum class UnitsForm { table, csv, json, json_lines, openhtf };
[[nodiscard]] std::optional<UnitsForm> parse_units_form(std::string_view text);  // "table" ... "jsonl", "openhtf"
struct UnitsPage {
  std::string text;
  std::uint64_t attempts = 0;
  std::optional<db::ExportPlace> next;  // nothing: that was all
};
// About half a MiB of text, and the records are held for a few hundred attempts only.
[[nodiscard]] core::Result<UnitsPage> units_page(const db::Records& records, const db::Period& period, UnitsForm form,
                                                 const Station& station, const db::ExportPlace& place);

}  // namespace imprint::station::reports
