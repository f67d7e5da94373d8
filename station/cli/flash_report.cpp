// SPDX-License-Identifier: GPL-3.0-or-later
// Results of a flash as a table.
#include "station/cli/flash_report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>

#include "flash/core/text.hpp"
#include "station/cli/tables.hpp"

namespace imprint::station::cli {
namespace {

namespace json = boost::json;

std::string text_at(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  return value != nullptr && value->is_string() ? core::printable(value->get_string()) : std::string();
}

double number_at(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  boost::system::error_code error;
  return value == nullptr ? 0 : value->to_number<double>(error);
}

bool passed(const json::value& result) {
  return result.is_object() && text_at(result.get_object(), "verdict") == "passed";
}

std::vector<std::string> to_cells(const json::object& result) {
  return {text_at(result, "slot"),
          text_at(result, "serial"),
          text_at(result, "protocol"),
          core::format_mib(static_cast<std::uint64_t>(number_at(result, "bytes_written"))),
          core::format_rate(number_at(result, "bytes_per_second")),
          text_at(result, "verdict"),
          text_at(result, "proof"),
          text_at(result, "error")};
}

void print_notes(const json::object& result) {
  const std::string slot = text_at(result, "slot");
  if (!text_at(result, "note").empty()) print_line(fmt::format("Slot {}: {}", slot, text_at(result, "note")));
  if (text_at(result, "error").empty()) return;
  print_line(fmt::format("Slot {}: {}", slot, text_at(result, "message")));
  print_line(fmt::format("  What to do: {}", text_at(result, "remedy")));
  if (!text_at(result, "recording").empty())
    print_line(fmt::format("  Its transfers are in {}", text_at(result, "recording")));
}

}  // namespace

ExitStatus print_flash_report(const json::object& report, bool as_json) {
  const json::value* found = report.if_contains("results");
  const json::array results = found != nullptr && found->is_array() ? found->get_array() : json::array();
  const ExitStatus status =
      !results.empty() && std::ranges::all_of(results, passed) ? ExitStatus::good : ExitStatus::not_good;
  if (as_json) {
    print_line(json::serialize(report));
    return status;
  }
  std::vector<std::vector<std::string>> rows;
  for (const json::value& result : results)
    if (result.is_object()) rows.push_back(to_cells(result.get_object()));
  std::ranges::stable_sort(rows, {}, [](const auto& row) { return row[0]; });
  print(format_table({"Slot", "Serial", "Protocol", "Written", "Rate", "Verdict", "Proof", "Error"}, rows));
  for (const json::value& result : results)
    if (result.is_object()) print_notes(result.get_object());
  if (!text_at(report, "recording_trouble").empty())
    print_line("WARNING: not all transfers were recorded: " + text_at(report, "recording_trouble"));
  if (text_at(report, "policy") == "none") print_line("NO SIGNATURE WAS CHECKED: policy none");
  const json::value* training = report.if_contains("training");
  if (training != nullptr && *training == true) print_line("TRAINING: simulated devices");
  return status;
}

}  // namespace imprint::station::cli
