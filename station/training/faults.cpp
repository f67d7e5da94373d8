// SPDX-License-Identifier: GPL-3.0-or-later
// Faults of simulated devices, from words to scripts.
#include "station/training/faults.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "flash/core/text.hpp"
#include "station/errors.hpp"

namespace imprint::station::training {
namespace {

using virtual_device::AnswerFault;
using virtual_device::FaultScript;
using virtual_device::UfpFaults;

struct Word {
  std::string kind;
  std::optional<std::uint64_t> number;
};

core::Failure wrong(const std::string& word, std::string detail) {
  return station::fail("usage.invalid", std::move(detail)).with("fault", word);
}

core::Result<Word> split(const std::string& word) {
  const auto at = word.find('@');
  if (at == std::string::npos) return Word{word, std::nullopt};
  const auto number = core::parse_number(std::string_view(word).substr(at + 1));
  if (!number) return wrong(word, "what stands behind @ is no number");
  return Word{word.substr(0, at), number};
}

// Puts a fault in its place in the script, which holds one.
template <typename Place, typename Value>
core::Status put(Place& place, Value value, const std::string& word) {
  if (place) return wrong(word, "a device has one fault of this kind");
  place = std::move(value);
  return {};
}

constexpr std::array<std::pair<std::string_view, AnswerFault::Kind>, 6> kAnswers{{
    {"stall", AnswerFault::Kind::stall},
    {"short", AnswerFault::Kind::short_reply},
    {"garbage", AnswerFault::Kind::garbage},
    {"no-reply", AnswerFault::Kind::no_reply},
    {"nack", AnswerFault::Kind::nack},
    {"wrong-crc", AnswerFault::Kind::wrong_crc},
}};
constexpr std::array<std::pair<std::string_view, UfpFaults::Reply>, 4> kReplies{{
    {"stall", UfpFaults::Reply::stall},
    {"short", UfpFaults::Reply::cut_short},
    {"garbage", UfpFaults::Reply::garbage},
    {"no-reply", UfpFaults::Reply::none},
}};

template <typename Table>
auto kind_of(const Table& table, std::string_view word) -> std::optional<decltype(table[0].second)> {
  const auto found = std::ranges::find(table, word, [](const auto& row) { return row.first; });
  if (found == table.end()) return std::nullopt;
  return found->second;
}

// Those that devices of both protocols have; false where it is none.
template <typename Script>
core::Result<bool> add_common(Script& script, const Word& fault, const std::string& word) {
  if (fault.kind == "dies-after-reboot" && !fault.number) {
    script.dies_after_reboot = true;
    return true;
  }
  if (!fault.number) return wrong(word, "no such fault, or it needs @ and a number");
  if (fault.kind == "disconnect") {
    IMPRINT_CHECK(put(script.disconnect_at_byte, *fault.number, word));
  } else if (fault.kind == "bad-sector") {
    IMPRINT_CHECK(put(script.bad_sector, *fault.number, word));
  } else if (fault.kind == "slow-write") {
    if (*fault.number == 0) return wrong(word, "a device that takes nothing is no-reply");
    if (script.slow_write != 0) return wrong(word, "a device has one fault of this kind");
    script.slow_write = *fault.number;
  } else {
    return false;
  }
  return true;
}

core::Status add(FaultScript& script, const Word& fault, const std::string& word) {
  IMPRINT_TRY(const bool added, add_common(script, fault, word));
  if (added) return {};
  const auto answer = kind_of(kAnswers, fault.kind);
  if (!answer) return wrong(word, "a simple-io device has no such fault");
  return put(script.answer, AnswerFault{.kind = *answer, .at_byte = *fault.number}, word);
}

core::Status add(UfpFaults& script, const Word& fault, const std::string& word) {
  IMPRINT_TRY(const bool added, add_common(script, fault, word));
  if (added) return {};
  const auto reply = kind_of(kReplies, fault.kind);
  if (!reply) return wrong(word, "a ufp device has no such fault");
  return put(script.reply_at, UfpFaults::ReplyAt{*fault.number, *reply}, word);
}

template <typename Script>
core::Result<Script> parse(const std::vector<std::string>& words) {
  Script script;
  for (const std::string& word : words) {
    IMPRINT_TRY(const Word fault, split(word));
    IMPRINT_CHECK(add(script, fault, word));
  }
  return script;
}

}  // namespace

core::Result<FaultScript> parse_simple_io_faults(const std::vector<std::string>& words) {
  return parse<FaultScript>(words);
}

core::Result<UfpFaults> parse_ufp_faults(const std::vector<std::string>& words) { return parse<UfpFaults>(words); }

}  // namespace imprint::station::training
