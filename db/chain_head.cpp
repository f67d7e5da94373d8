// SPDX-License-Identifier: GPL-3.0-or-later
// Writing and reading an exported head: the text has one form only, so what is read is written again and compared.
#include "db/chain_head.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "db/errors.hpp"
#include "db/iso_time.hpp"

namespace imprint::db {
namespace {

constexpr std::size_t kLongestText = 512;

bool is_station(std::string_view name) {
  return !name.empty() && name.size() <= 64 && std::ranges::all_of(name, [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
           c == '-';
  });
}

bool is_digest(std::string_view text) {
  return text.size() == 64 &&
         std::ranges::all_of(text, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

// What stands between two pieces of the fixed text; takes both off the front.
std::optional<std::string_view> between(std::string_view& text, std::string_view before, std::string_view after) {
  if (!text.starts_with(before)) return std::nullopt;
  text.remove_prefix(before.size());
  const std::size_t end = text.find(after);
  if (end == std::string_view::npos) return std::nullopt;
  const std::string_view value = text.substr(0, end);
  text.remove_prefix(end);
  return value;
}

template <class Number>
bool read_number(std::optional<std::string_view> text, Number& out) {
  if (!text || text->empty()) return false;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), out);
  return error == std::errc() && end == text->data() + text->size();
}

}  // namespace

std::string to_text(const ChainHead& head) {
  return fmt::format(
      "{{\"format\":\"imprint-chain-head\",\"version\":1,\"station\":\"{}\",\"seq\":{},\"head\":\"{}\",\"at\":\"{}\","
      "\"attempts\":{},\"units\":{},\"audit\":{}}}",
      head.station, head.seq, head.head, core::to_iso8601(head.at), head.attempts, head.units, head.audit);
}

core::Result<ChainHead> parse_chain_head(std::string_view text) {
  if (text.ends_with('\n')) text.remove_suffix(1);
  const auto malformed = [](const char* what) { return fail("records.head-malformed", what); };
  if (text.size() > kLongestText) return malformed("it is too long");
  const std::string_view whole = text;
  ChainHead head;
  const auto station = between(text, R"({"format":"imprint-chain-head","version":1,"station":")", "\"");
  if (!station || !is_station(*station)) return malformed("the station");
  head.station = *station;
  if (!read_number(between(text, R"(","seq":)", ","), head.seq) || head.seq < 0) return malformed("the entry's number");
  const auto digest = between(text, R"(,"head":")", "\"");
  if (!digest || !is_digest(*digest)) return malformed("the head");
  head.head = *digest;
  const auto at = between(text, R"(","at":")", "\"");
  const auto time = at ? parse_iso8601(*at) : std::nullopt;
  if (!time) return malformed("the time");
  head.at = *time;
  const bool counts = read_number(between(text, R"(","attempts":)", ","), head.attempts) &&
                      read_number(between(text, R"(,"units":)", ","), head.units) &&
                      read_number(between(text, R"(,"audit":)", "}"), head.audit);
  if (!counts || text != "}") return malformed("the counts");
  // Numbers with leading zeros and the like would be the same head under another signature.
  if (to_text(head) != whole) return malformed("it is not as the station writes it");
  return head;
}

}  // namespace imprint::db
