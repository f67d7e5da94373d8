// SPDX-License-Identifier: GPL-3.0-or-later
// The daemon's answers and events as text for a terminal.
#include <fmt/format.h>

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include "flash/core/text.hpp"
#include "station/cli/station_client.hpp"
#include "station/cli/tables.hpp"
#include "station/slot_status.hpp"

namespace imprint::station::cli {
namespace {

namespace json = boost::json;

std::string words(std::string_view name) {
  std::string text(name);
  for (char& sign : text)
    if (sign == '_') sign = ' ';
  if (!text.empty()) text[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(text[0])));
  return text;
}

std::string cell(const json::value& value) {
  if (value.is_null()) return "-";
  if (value.is_string()) return core::printable(value.get_string());
  if (value.is_bool()) return value.get_bool() ? "yes" : "no";
  if (value.is_array()) {
    std::string text;
    for (const json::value& one : value.get_array()) text += (text.empty() ? "" : ", ") + cell(one);
    return text;
  }
  if (value.is_object()) {
    std::string text;
    for (const auto& [key, one] : value.get_object())
      text += fmt::format("{}{} {}", text.empty() ? "" : ", ", std::string_view(key), cell(one));
    return text;
  }
  return json::serialize(value);
}

bool is_table(const json::value& value) {
  return value.is_array() && !value.get_array().empty() && value.get_array()[0].is_object();
}

std::string table_of(const json::array& rows) {
  std::vector<std::string> head;
  for (const auto& member : rows[0].as_object()) head.push_back(words(member.key()));
  std::vector<std::vector<std::string>> cells;
  for (const json::value& row : rows) {
    auto& line = cells.emplace_back();
    for (const auto& member : rows[0].as_object()) {
      const json::value* value = row.is_object() ? row.get_object().if_contains(member.key()) : nullptr;
      line.push_back(value == nullptr ? "" : cell(*value));
    }
  }
  return format_table(head, cells);
}

std::string text_at(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  return value == nullptr || value->is_null() ? std::string() : cell(*value);
}

std::uint64_t number_at(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  boost::system::error_code error;
  return value == nullptr ? 0 : value->to_number<std::uint64_t>(error);
}

bool flag_at(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  return value != nullptr && value->is_bool() && value->get_bool();
}

std::string progress_of(const json::object& slot) {
  const std::uint64_t due = number_at(slot, "bytes_due");
  if (due == 0) return "";
  std::string text = fmt::format("{} %", number_at(slot, "bytes_done") * 100 / due);
  if (const std::uint64_t rate = number_at(slot, "bytes_per_second"); rate != 0)
    text += " " + core::format_rate(static_cast<double>(rate));
  if (const std::string left = text_at(slot, "seconds_left"); !left.empty()) text += ", " + left + " s left";
  if (const json::value* waited = slot.if_contains("waited_ms"); waited != nullptr && waited->is_object()) {
    const json::object& ms = waited->get_object();
    const std::string starved = starved_text({std::chrono::milliseconds(number_at(ms, "source")),
                                              std::chrono::milliseconds(number_at(ms, "hash")),
                                              std::chrono::milliseconds(number_at(ms, "device"))});
    if (!starved.empty()) text += ", " + starved;
  }
  return text;
}

std::string slot_result(const json::object& slot) {
  const std::string verdict = text_at(slot, "verdict");
  if (verdict.empty()) return "";
  const std::string error = text_at(slot, "error");
  return verdict == "passed" ? fmt::format("PASSED ({})", text_at(slot, "proof"))
                             : fmt::format("{} {}", verdict, error);
}

// A key in PEM, say: to be copied from the screen with its lines as they are.
std::string block_of(std::string_view text) {
  std::string block;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    block += core::printable(text.substr(0, end)) + "\n";
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return block;
}

bool is_block(const json::value& value) {
  return value.is_string() && std::string_view(value.get_string()).contains('\n');
}

bool is_status(const json::object& answer) { return answer.contains("armed") && answer.contains("slots"); }

}  // namespace

std::string answer_text(const json::value& answer) {
  if (answer.is_bool()) return answer.get_bool() ? "Done.\n" : "No.\n";
  if (!answer.is_object()) return cell(answer) + "\n";
  if (is_status(answer.get_object())) return status_text(answer.get_object());
  std::string lines;
  std::string tables;
  for (const auto& [key, value] : answer.get_object()) {
    if (is_table(value)) {
      tables += table_of(value.get_array());
    } else if (is_block(value)) {
      tables += words(key) + "\n" + block_of(value.get_string());
    } else if (value.is_array() && value.get_array().empty()) {
      lines += fmt::format("{:<18} none\n", words(key));
    } else {
      lines += fmt::format("{:<18} {}\n", words(key), cell(value));
    }
  }
  return lines + tables;
}

std::string status_text(const json::object& status) {
  std::string text = fmt::format("Station   {}{}\n", text_at(status, "name"),
                                 flag_at(status, "training") ? "   TRAINING: simulated devices" : "");
  if (flag_at(status, "armed")) {
    text += flag_at(status, "once")
                ? fmt::format("Flashing  chosen slots once, as {}, since {}\n", text_at(status, "product"),
                              text_at(status, "since"))
                : fmt::format("Armed     {} since {}\n", text_at(status, "product"), text_at(status, "since"));
    text += fmt::format("Image     {}\n", text_at(status, "image"));
    const std::string policy = text_at(status, "policy");
    text += policy == "none" ? "Signer    NO SIGNATURE IS CHECKED: policy none\n"
                             : fmt::format("Signer    {} ({})\n", text_at(status, "signer"), policy);
  } else {
    text += "Armed     no\n";
    if (const json::value* loaded = status.if_contains("loaded"); loaded != nullptr && loaded->is_object())
      text += fmt::format(
          "Loaded    {} {}({})\n", text_at(loaded->get_object(), "product"),
          text_at(loaded->get_object(), "order").empty() ? "" : "order " + text_at(loaded->get_object(), "order") + " ",
          text_at(loaded->get_object(), "why_disarmed"));
  }
  if (const json::value* value = status.if_contains("order"); value != nullptr && value->is_object()) {
    const json::object& order = value->get_object();
    text += fmt::format("Order     {}: {} of {} passed, {} failed, {} to go\n", text_at(order, "number"),
                        number_at(order, "passed"), number_at(order, "quantity"), number_at(order, "failed"),
                        number_at(order, "remaining"));
  }
  if (const json::value* scan = status.if_contains("scan"); scan != nullptr && scan->is_object())
    text += fmt::format("Scan      {} waits for a device, {} s left\n", text_at(scan->get_object(), "text"),
                        number_at(scan->get_object(), "ms_left") / 1000);
  std::string people;
  if (const json::value* list = status.if_contains("people"); list != nullptr && list->is_array())
    for (const json::value& one : list->get_array())
      if (one.is_object())
        people +=
            fmt::format("{}{} ({}{})", people.empty() ? "" : ", ", text_at(one.get_object(), "name"),
                        text_at(one.get_object(), "role"), flag_at(one.get_object(), "gave_pin") ? "" : ", badge only");
  text += fmt::format("Signed in {}\n", people.empty() ? "nobody" : people);
  if (const json::value* key = status.if_contains("key"); key != nullptr && key->is_object())
    if (text_at(key->get_object(), "kind") != "none" && !flag_at(key->get_object(), "good"))
      text += fmt::format("Key       HEADS ARE NOT SIGNED: {}\n", text_at(key->get_object(), "error"));
  std::vector<std::vector<std::string>> rows;
  if (const json::value* slots = status.if_contains("slots"); slots != nullptr && slots->is_array())
    for (const json::value& value : slots->get_array()) {
      if (!value.is_object()) continue;
      const json::object& slot = value.get_object();
      rows.push_back({text_at(slot, "slot"), text_at(slot, "phase"), text_at(slot, "serial"), progress_of(slot),
                      slot_result(slot)});
    }
  if (!rows.empty()) text += format_table({"Slot", "Phase", "Serial", "Done", "Result"}, rows);
  return text;
}

std::string event_text(const json::object& event) {
  const std::string kind = text_at(event, "kind");
  if (kind == "missed") return fmt::format("({} events were missed)", number_at(event, "count"));
  const json::value* value = event.if_contains("data");
  if (value == nullptr || !value->is_object()) return {};
  const json::object& data = value->get_object();
  const std::string at = text_at(event, "at");
  if (kind == "slot") {
    const std::string progress = progress_of(data);
    return fmt::format("{}  slot {}: {} {} {}", at, text_at(data, "slot"), text_at(data, "phase"),
                       text_at(data, "serial"), progress);
  }
  if (kind == "attempt") {
    std::string text = fmt::format(
        "{}  slot {}: {} {} {}", at, text_at(data, "slot"), text_at(data, "serial"),
        text_at(data, "verdict") == "passed" ? "PASSED" : text_at(data, "verdict"),
        text_at(data, "verdict") == "passed" ? "(" + text_at(data, "proof") + ")" : text_at(data, "message"));
    if (const std::string remedy = text_at(data, "remedy"); !remedy.empty()) text += "\n  What to do: " + remedy;
    return text;
  }
  if (kind == "station") return fmt::format("{}  the station: {}", at, text_at(data, "what"));
  if (kind == "scan")
    return fmt::format("{}  scan {}: {} {}", at, text_at(data, "text"), text_at(data, "what"), text_at(data, "slot"));
  if (kind == "quarantine")
    return fmt::format("{}  quarantine: {} {}: {}", at, text_at(data, "kind"), text_at(data, "subject"),
                       text_at(data, "message"));
  if (kind == "port")
    return fmt::format("{}  port {}, which is no slot: {}", at, text_at(data, "port"),
                       flag_at(data, "present") ? "a device came, and is left alone" : "the device left");
  if (kind == "job" && data.contains("job"))
    return fmt::format("{}  job {} ({}): {} {}", at, number_at(data, "job"), text_at(data, "title"),
                       text_at(data, "state"), text_at(data, "text"));
  if (kind == "job")
    return fmt::format("{}  {}: {} {} of {}", at, text_at(data, "what"), text_at(data, "phase"),
                       core::format_mib(number_at(data, "bytes_done")), core::format_mib(number_at(data, "bytes_due")));
  return fmt::format("{}  {}: {}", at, kind, cell(*value));
}

}  // namespace imprint::station::cli
