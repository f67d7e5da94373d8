// SPDX-License-Identifier: GPL-3.0-or-later
// Reports for people: what somebody looks for first stands first, numbers under numbers.
#include <fmt/format.h>

#include <boost/json.hpp>

#include "flash/core/text.hpp"
#include "station/errors.hpp"
#include "station/reports/report_text.hpp"
#include "station/reports/text_table.hpp"

namespace imprint::station::reports {
namespace {

namespace json = boost::json;
using Rows = std::vector<std::vector<std::string>>;

// Of a member; "" for null.
std::string text(const json::value& of, std::string_view name) {
  const json::value& value = of.as_object().at(name);
  if (value.is_null()) return {};
  if (value.is_string()) return core::printable(std::string_view(value.get_string()));
  return json::serialize(value);
}
std::uint64_t number(const json::value& of, std::string_view name) {
  return of.as_object().at(name).to_number<std::uint64_t>();
}
std::string percent(double share) { return fmt::format("{:.1f} %", share * 100); }
std::string percent(const json::value& share) { return percent(share.to_number<double>()); }

// "6 of 7 (85.7 %, 95 %: 49 to 97 %)"
std::string share_text(std::uint64_t part, std::uint64_t whole, const json::value& share) {
  if (share.is_null()) return "no units";
  const auto of = [&](std::string_view name) { return share.as_object().at(name).to_number<double>() * 100; };
  return fmt::format("{} of {} ({:.1f} %, 95 %: {:.0f} to {:.0f} %)", part, whole, of("share"), of("low_95"),
                     of("high_95"));
}

std::string period_text(const json::object& report) {
  const std::string from = text(report, "from");
  const std::string to = text(report, "to");
  if (from.empty() && to.empty()) return "All that the records have";
  if (to.empty()) return "From " + from;
  return from.empty() ? "Before " + to : "From " + from + " to " + to;
}

std::string heading(const json::object& report, const std::string& title) {
  std::string out = fmt::format("{}, station {}\n", title, text(report, "station"));
  out += period_text(report) + "\n";
  if (report.at("training").as_bool()) out += std::string(kTrainingLine) + "\n";
  return out + "\n";
}

std::string yield_lines(const json::value& row) {
  const std::uint64_t units = number(row, "units");
  std::string out =
      fmt::format("First-pass yield   {}\n", share_text(number(row, "first_pass"), units, row.at("first_pass_yield")));
  out += fmt::format("Final yield        {}\n", share_text(number(row, "final_pass"), units, row.at("final_yield")));
  if (number(row, "training") > 0)
    out += fmt::format("TRAINING           {} of the attempts are with virtual devices\n", number(row, "training"));
  out += fmt::format("Attempts           {}, of them refused {}, aborted or interrupted {}\n", number(row, "attempts"),
                     number(row, "refused"), number(row, "aborted"));
  for (const json::value& failure : row.at("failures").as_array())
    out += fmt::format("Failure            {} x {}\n", number(failure, "attempts"), text(failure, "error_id"));
  return out;
}

std::string yield_page(const json::object& report) {
  std::string out = heading(report, "Yield");
  bool first = true;
  for (const json::value& row : report.at("rows").as_array()) {
    if (!first) out += "\n";
    first = false;
    const std::string group = text(row, "group");
    if (text(report, "by") != "all") out += fmt::format("{} {}\n", text(report, "by"), group.empty() ? "-" : group);
    out += yield_lines(row);
  }
  return out;
}

std::string or_dash(std::string text) { return text.empty() ? std::string("-") : text; }

std::string failure_table(const json::array& failures) {
  Rows rows;
  for (const json::value& row : failures)
    rows.push_back({text(row, "attempts"), percent(row.at("share")), percent(row.at("cumulative")), text(row, "units"),
                    or_dash(text(row, "class")), or_dash(text(row, "step")), or_dash(text(row, "error_id"))});
  return aligned_table({{"Failures", Align::right},
                        {"Share", Align::right},
                        {"So far", Align::right},
                        {"Units", Align::right},
                        {"Class"},
                        {"Step"},
                        {"Error"}},
                       rows);
}

std::string failures_page(const json::object& report) {
  const std::string by = text(report, "by");
  std::string out = heading(report, by == "error" ? "Failures" : "Failures by " + by);
  const std::uint64_t attempts = number(report, "attempts");
  const std::uint64_t failures = number(report, "failures");
  if (failures == 0) return out + fmt::format("None of {} attempts failed.\n", attempts);
  out += fmt::format("{} of {} attempts failed ({}).\n", failures, attempts,
                     percent(static_cast<double>(failures) / static_cast<double>(attempts)));
  for (const json::value& group : report.at("groups").as_array()) {
    out += "\n";
    if (by != "error")
      out += fmt::format("{} {}: failures {}, units {}, {} of all failures\n", by, or_dash(text(group, "group")),
                         number(group, "attempts"), number(group, "units"), percent(group.at("share")));
    out += failure_table(group.at("rows").as_array());
  }
  return out;
}

std::string tenths(const json::value& rate, std::string_view name) {
  return rate.is_null() ? std::string("-") : fmt::format("{:.1f}", rate.as_object().at(name).to_number<double>());
}

std::string slot_tables(const json::array& slots) {
  Rows counts;
  Rows rates;
  for (const json::value& slot : slots) {
    const json::value& rate = slot.at("pass_rate");
    counts.push_back({text(slot, "slot"), text(slot, "attempts"), text(slot, "passed"), text(slot, "failed"),
                      text(slot, "incomplete"), text(slot, "refused"), text(slot, "aborted"), text(slot, "open"),
                      rate.is_null() ? "-" : percent(rate.at("share"))});
    rates.push_back(
        {text(slot, "slot"), tenths(slot.at("write"), "mb_per_s"), tenths(slot.at("write"), "slowest_mb_per_s"),
         tenths(slot.at("read_back"), "mb_per_s"), tenths(slot.at("read_back"), "slowest_mb_per_s"),
         text(slot, "failures_in_a_row"), text(slot, "longest_row"),
         slot.at("quarantined").as_bool() ? "stands" : or_dash(number(slot, "quarantines") == 0 ? "" : "lifted")});
  }
  constexpr Align kRight = Align::right;
  return aligned_table({{"Slot"},
                        {"Attempts", kRight},
                        {"Passed", kRight},
                        {"Failed", kRight},
                        {"Incompl.", kRight},
                        {"Refused", kRight},
                        {"Aborted", kRight},
                        {"Running", kRight},
                        {"Pass rate", kRight}},
                       counts) +
         "\nRates in MB/s; failures in a row, now and at most\n" +
         aligned_table({{"Slot"},
                        {"Write", kRight},
                        {"Slowest", kRight},
                        {"Read back", kRight},
                        {"Slowest", kRight},
                        {"In a row", kRight},
                        {"At most", kRight},
                        {"Quarantine"}},
                       rates);
}

std::string slots_page(const json::object& report) {
  return heading(report, "Slots") + slot_tables(report.at("slots").as_array());
}

// Of a shift: a title, what there is, and nothing where there is nothing.
class ShiftPage {
 public:
  explicit ShiftPage(const json::object& report) : report_(report) {}

  std::string make() {
    begin();
    orders();
    failures();
    slots();
    rework();
    scrap();
    waivers();
    quarantines();
    people();
    head();
    return std::move(out_);
  }

 private:
  [[nodiscard]] const json::array& list(std::string_view name) const { return report_.at(name).as_array(); }

  bool section(std::string_view name, std::string_view title) {
    if (list(name).empty()) return false;
    out_ += fmt::format("\n{}\n{}\n", title, std::string(title.size(), '='));
    return true;
  }
  void say_what_is_left_out(std::string_view name) {
    const json::value* all = report_.if_contains("left_out");
    const json::value* count = all == nullptr ? nullptr : all->as_object().if_contains(name);
    if (count != nullptr) out_ += fmt::format("... and {} more\n", count->to_number<std::uint64_t>());
  }
  // "person 4", as the records know who did it.
  static std::string by(const json::value& row) {
    const std::string person = text(row, "person");
    return person.empty() ? std::string("the station") : "person " + person;
  }

  void begin() {
    const std::string name = text(report_, "shift");
    out_ = heading(report_, name.empty() ? "Shift report " + text(report_, "date")
                                         : fmt::format("Shift report {}, {}", name, text(report_, "date")));
    if (!report_.at("hours").is_null())
      out_ += fmt::format("Length             {:g} h\n", report_.at("hours").to_number<double>());
    if (!report_.at("over").as_bool()) out_ += "NOT OVER           the figures are those of now\n";
    const json::value& results = report_.at("results");
    out_ += yield_head();
    out_ += fmt::format("Attempts           {}: passed {}, failed {}, incomplete {}, refused {},\n",
                        number(report_, "attempts"), number(results, "passed"), number(results, "failed"),
                        number(results, "incomplete"), number(results, "refused"));
    out_ += fmt::format("                   aborted or interrupted {}, running {}\n", number(results, "aborted"),
                        number(results, "open"));
    out_ += fmt::format("Reworked units     {}\n", number(report_, "reworked_units"));
    out_ += fmt::format("Scrapped units     {}\n", all_of("scrap"));
    if (number(report_, "corrections") > 0)
      out_ += fmt::format("Corrections        {} to attempts or units\n", number(report_, "corrections"));
  }
  [[nodiscard]] std::uint64_t all_of(std::string_view name) const {
    const json::value* left = report_.if_contains("left_out");
    const json::value* more = left == nullptr ? nullptr : left->as_object().if_contains(name);
    return list(name).size() + (more == nullptr ? 0 : more->to_number<std::uint64_t>());
  }
  [[nodiscard]] std::string yield_head() const {
    const json::value& row = report_.at("yield");
    const std::uint64_t units = number(row, "units");
    return fmt::format("First-pass yield   {}\nFinal yield        {}\n",
                       share_text(number(row, "first_pass"), units, row.at("first_pass_yield")),
                       share_text(number(row, "final_pass"), units, row.at("final_yield")));
  }

  void orders() {
    if (!section("orders", "Orders: attempts of this shift, and where the order is now")) return;
    Rows rows;
    for (const json::value& row : list("orders")) {
      const json::value& now = row.at("now");
      rows.push_back({text(row, "order"), text(row, "product"), text(row, "passed"), text(row, "failed"),
                      text(row, "incomplete"), fmt::format("{} of {}", number(now, "passed"), number(now, "quantity")),
                      text(now, "remaining"), text(now, "scrapped")});
    }
    out_ += aligned_table({{"Order"},
                           {"Product"},
                           {"Passed", Align::right},
                           {"Failed", Align::right},
                           {"Incompl.", Align::right},
                           {"Made", Align::right},
                           {"To do", Align::right},
                           {"Scrap", Align::right}},
                          rows);
    say_what_is_left_out("orders");
  }

  void failures() {
    if (section("failures", "Failures")) out_ += failure_table(list("failures"));
  }
  void slots() {
    if (section("slots", "Slots")) out_ += slot_tables(list("slots"));
  }

  void rework() {
    if (!section("rework", "Rework")) return;
    for (const json::value& row : list("rework")) {
      out_ += fmt::format("{}  {} {}\n", text(row, "at"), text(row, "product"), text(row, "serial"));
      const std::string reason = text(row, "reason");
      out_ += wrapped(fmt::format("attempt {}, result {} of the unit: {}{}", number(row, "attempt"),
                                  number(row, "ordinal"), text(row, "verdict"), reason.empty() ? "" : "; " + reason),
                      4);
    }
    say_what_is_left_out("rework");
  }
  void scrap() {
    if (!section("scrap", "Scrap")) return;
    for (const json::value& row : list("scrap")) {
      const std::string order = text(row, "order");
      out_ += fmt::format("{}  {} {}\n", text(row, "at"), text(row, "product"), text(row, "serial"));
      out_ += wrapped(
          fmt::format("{}by {}: {}", order.empty() ? "" : "of order " + order + ", ", by(row), text(row, "reason")), 4);
    }
    say_what_is_left_out("scrap");
  }
  void waivers() {
    if (!section("waivers", "Waivers given or revoked")) return;
    for (const json::value& row : list("waivers")) {
      const std::string serial = text(row, "serial");
      out_ += fmt::format("{}  {} for {}\n", text(row, "given"), text(row, "check"),
                          serial.empty() ? "all of " + text(row, "product") : text(row, "product") + " " + serial);
      const std::string revoked = text(row, "revoked");
      out_ +=
          wrapped(fmt::format("waiver {}, by {} as {}, until {}{}", number(row, "waiver"), by(row), text(row, "role"),
                              text(row, "expires"), revoked.empty() ? "" : ", revoked " + revoked),
                  4);
      out_ += wrapped(text(row, "reason"), 4);
    }
    say_what_is_left_out("waivers");
  }
  void quarantines() {
    if (!section("quarantines", "Quarantines")) return;
    for (const json::value& row : list("quarantines")) {
      const std::string lifted = text(row, "lifted");
      out_ += fmt::format("{}  {} {}, {}\n", text(row, "since"), text(row, "kind"), text(row, "subject"),
                          lifted.empty() ? "stands" : "lifted " + lifted);
      out_ += wrapped(text(row, "why"), 4);
      out_ += wrapped(text(row, "lift_reason"), 4);
    }
    say_what_is_left_out("quarantines");
  }

  void people() {
    if (!section("people", "People")) return;
    Rows rows;
    for (const json::value& row : list("people"))
      rows.push_back({text(row, "person"), or_dash(text(row, "initials")), text(row, "role"), text(row, "from"),
                      or_dash(text(row, "until")), text(row, "attempts")});
    out_ += aligned_table(
        {{"No.", Align::right}, {"Who"}, {"Role"}, {"Signed in"}, {"Until"}, {"Attempts", Align::right}}, rows);
    say_what_is_left_out("people");
  }

  static std::string grouped(std::string_view text, std::size_t group, std::size_t groups_a_line) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); i += group) {
      const bool starts_line = i % (group * groups_a_line) == 0;
      out += starts_line ? (i == 0 ? "  " : "\n  ") : " ";
      out += text.substr(i, group);
    }
    return out + "\n";
  }
  // Short lines, which end behind a comma where there is one.
  static std::string cut(std::string_view text) {
    constexpr std::size_t kMost = 78;
    std::string out;
    while (!text.empty()) {
      std::size_t length = std::min(text.size(), kMost);
      if (const std::size_t comma = text.substr(0, length).rfind(','); length < text.size() && comma != text.npos)
        length = comma + 1;
      out += std::string(text.substr(0, length)) + "\n";
      text.remove_prefix(length);
    }
    return out;
  }

  // The block at the end is what proves the sheet: what somebody types of it into a file is read without its breaks.
  void head() {
    const json::value* head = report_.if_contains("head");
    if (head == nullptr) return;
    const bool is_signed = head->at("signed").as_bool();
    const std::string title =
        is_signed ? "Head of the records, signed by the station's key" : "Head of the records, NOT SIGNED";
    out_ += fmt::format("\n{}\n{}\n", title, std::string(title.size(), '='));
    out_ += fmt::format("Entry {}, made at {}\n", number(*head, "entry"), text(*head, "at"));
    out_ += "Hash\n" + grouped(text(*head, "hash"), 4, 8);
    if (is_signed) out_ += "Key (SHA-256 of the public key)\n" + grouped(text(*head, "fingerprint"), 4, 8);
    out_ += wrapped(text(*head, "error"), 0);
    out_ +=
        "\nTo prove the records by this sheet, type the lines below into a file, and give\nit to"
        " imprint station audit verify --head @FILE --key station.key.pub\n\n";
    out_ += cut(text(*head, "head")) + cut(text(*head, "signature"));
  }

  const json::object& report_;
  std::string out_;
};

}  // namespace

core::Result<std::string> report_table(const json::object& report) {
  try {
    const std::string_view kind(report.at("report").as_string());
    if (kind == "yield") return yield_page(report);
    if (kind == "failures") return failures_page(report);
    if (kind == "slots") return slots_page(report);
    return ShiftPage(report).make();
  } catch (const std::exception& exception) {
    return fail("station.internal-error", exception.what());
  }
}

}  // namespace imprint::station::reports
