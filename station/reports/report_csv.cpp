// SPDX-License-Identifier: GPL-3.0-or-later
// CSV lines out of a report's members.
#include <fmt/format.h>

#include <boost/json.hpp>

#include "db/export.hpp"
#include "station/errors.hpp"
#include "station/reports/report_text.hpp"

namespace imprint::station::reports {
namespace {

namespace json = boost::json;

// `null` and what is not there are empty; numbers are never text, so no spreadsheet's formula is made of a minus.
std::string field(const json::value* value) {
  if (value == nullptr || value->is_null()) return {};
  if (value->is_string()) return db::csv_field(std::string_view(value->get_string()));
  if (value->is_bool()) return value->get_bool() ? "yes" : "no";
  if (value->is_double()) return fmt::format("{:.4f}", value->get_double());
  return json::serialize(*value);
}

const json::value* member(const json::value& of, std::string_view pointer) {
  boost::system::error_code error;
  return of.find_pointer(pointer, error);
}

struct Column {
  std::string_view head;
  std::string_view pointer;
};

class Sheet {
 public:
  explicit Sheet(std::span<const Column> columns) : columns_(columns) {
    for (const Column& column : columns_) text_ += (text_.empty() ? "" : ",") + std::string(column.head);
    text_ += "\r\n";
  }
  void add(const json::value& row) {
    bool first = true;
    for (const Column& column : columns_) {
      if (!first) text_ += ',';
      first = false;
      text_ += field(member(row, column.pointer));
    }
    text_ += "\r\n";
  }
  [[nodiscard]] std::string finish() { return std::move(text_); }

 private:
  std::span<const Column> columns_;
  std::string text_;
};

constexpr Column kYield[] = {
    {"group_by", "/by"},
    {"group", "/group"},
    {"units", "/units"},
    {"first_pass", "/first_pass"},
    {"first_pass_yield", "/first_pass_yield/share"},
    {"first_pass_low", "/first_pass_yield/low_95"},
    {"first_pass_high", "/first_pass_yield/high_95"},
    {"final_pass", "/final_pass"},
    {"final_yield", "/final_yield/share"},
    {"final_low", "/final_yield/low_95"},
    {"final_high", "/final_yield/high_95"},
    {"attempts", "/attempts"},
    {"refused", "/refused"},
    {"aborted", "/aborted"},
    {"failures", "/failure_list"},
    {"training", "/training"},
};

constexpr Column kFailures[] = {
    {"group_by", "/by"},           {"group", "/group"},       {"group_attempts", "/group_attempts"},
    {"error_id", "/error_id"},     {"class", "/class"},       {"step", "/step"},
    {"attempts", "/attempts"},     {"units", "/units"},       {"share", "/share"},
    {"cumulative", "/cumulative"}, {"training", "/training"},
};

constexpr Column kSlots[] = {
    {"slot", "/slot"},
    {"attempts", "/attempts"},
    {"passed", "/passed"},
    {"failed", "/failed"},
    {"incomplete", "/incomplete"},
    {"refused", "/refused"},
    {"aborted", "/aborted"},
    {"open", "/open"},
    {"pass_rate", "/pass_rate/share"},
    {"pass_low", "/pass_rate/low_95"},
    {"pass_high", "/pass_rate/high_95"},
    {"write_mb_per_s", "/write/mb_per_s"},
    {"write_slowest_mb_per_s", "/write/slowest_mb_per_s"},
    {"read_back_mb_per_s", "/read_back/mb_per_s"},
    {"read_back_slowest_mb_per_s", "/read_back/slowest_mb_per_s"},
    {"failures_in_a_row", "/failures_in_a_row"},
    {"longest_row", "/longest_row"},
    {"quarantines", "/quarantines"},
    {"quarantined", "/quarantined"},
    {"training", "/training"},
};

std::string failure_list(const json::value& row) {
  std::string out;
  for (const json::value& failure : row.at("failures").as_array()) {
    const std::string_view id(failure.at("error_id").as_string());
    out += fmt::format("{}{} {}", out.empty() ? "" : "; ", id.empty() ? "unknown" : id,
                       failure.at("attempts").to_number<std::uint64_t>());
  }
  return out;
}

std::string yield_sheet(const json::object& report) {
  Sheet sheet(kYield);
  for (const json::value& row : report.at("rows").as_array()) {
    json::value line = row;
    line.as_object()["by"] = report.at("by");
    line.as_object()["failure_list"] = failure_list(row);
    sheet.add(line);
  }
  return sheet.finish();
}

std::string failures_sheet(const json::object& report) {
  Sheet sheet(kFailures);
  for (const json::value& group : report.at("groups").as_array()) {
    for (const json::value& row : group.at("rows").as_array()) {
      json::value line = row;
      line.as_object()["by"] = report.at("by");
      line.as_object()["group"] = group.at("group");
      line.as_object()["group_attempts"] = group.at("attempts");
      line.as_object()["training"] = report.at("training");
      sheet.add(line);
    }
  }
  return sheet.finish();
}

std::string slots_sheet(const json::object& report) {
  Sheet sheet(kSlots);
  for (const json::value& slot : report.at("slots").as_array()) {
    json::value line = slot;
    line.as_object()["training"] = report.at("training");
    sheet.add(line);
  }
  return sheet.finish();
}

// A line a value: a shift has too many kinds of things for one line each.
class ShiftSheet {
 public:
  std::string make(const json::object& report) {
    for (const auto& [name, value] : report) {
      const std::string section(name);
      if (value.is_array()) {
        std::size_t item = 0;
        for (const json::value& one : value.get_array()) walk(section, std::to_string(++item), {}, one);
      } else {
        walk(value.is_object() ? section : "shift", {}, value.is_object() ? std::string() : section, value);
      }
    }
    return std::move(text_);
  }

 private:
  // NOLINTNEXTLINE(misc-no-recursion): as deep as a report is, four levels.
  void walk(const std::string& section, const std::string& item, const std::string& name, const json::value& value) {
    if (value.is_array()) {
      std::size_t number = 0;
      for (const json::value& one : value.get_array())
        walk(section, item, fmt::format("{}{}{}", name, name.empty() ? "" : ".", ++number), one);
    } else if (const json::object* object = value.if_object()) {
      for (const auto& [key, inner] : *object) {
        // Initials are for the sheet of paper; a table that is copied about has numbers only.
        if (section == "people" && key == "initials") continue;
        walk(section, item, name.empty() ? std::string(key) : name + "." + std::string(key), inner);
      }
    } else {
      text_ += fmt::format("{},{},{},{}\r\n", db::csv_field(section), item, db::csv_field(name), field(&value));
    }
  }

  std::string text_ = "section,item,name,value\r\n";
};

}  // namespace

core::Result<std::string> report_csv(const json::object& report) {
  try {
    const std::string_view kind(report.at("report").as_string());
    if (kind == "yield") return yield_sheet(report);
    if (kind == "failures") return failures_sheet(report);
    if (kind == "slots") return slots_sheet(report);
    return ShiftSheet().make(report);
  } catch (const std::exception& exception) {
    return fail("station.internal-error", exception.what());
  }
}

}  // namespace imprint::station::reports
