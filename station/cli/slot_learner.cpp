// SPDX-License-Identifier: GPL-3.0-or-later
// Names ports one after the other, and keeps the file in step.
#include "station/cli/slot_learner.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "flash/core/atomic_file.hpp"
#include "flash/core/errors.hpp"
#include "flash/core/text.hpp"

namespace imprint::station::cli {
namespace {

constexpr std::string_view kHead =
    "# Learned by imprint devices --learn. A line is NAME = PORT... [disk|fixed-disk].\n";

bool has(const std::vector<std::string>& ports, const devices::PortPath& port) {
  return std::ranges::find(ports, port.text) != ports.end();
}

std::uint64_t highest_number(const SlotMap& map) {
  std::uint64_t highest = 0;
  for (const SlotRule& rule : map.rules()) {
    constexpr std::size_t kMostDigits = 9;
    const bool is_number =
        rule.name.size() <= kMostDigits && rule.name.find_first_not_of("0123456789") == std::string::npos;
    if (is_number) highest = std::max<std::uint64_t>(highest, std::stoul(rule.name));
  }
  return highest;
}

std::string and_list(const std::vector<std::string>& ports) {
  std::string out;
  for (const std::string& port : ports) out += (out.empty() ? "" : " and ") + port;
  return out;
}

}  // namespace

core::Result<SlotLearner> SlotLearner::make(std::filesystem::path file, SlotMap known) {
  SlotLearner learner(std::move(file), std::move(known));
  std::error_code error;
  learner.was_there_ = std::filesystem::exists(learner.file_, error);
  if (error) return core::fail_errno(error.value(), "io.open-failed", learner.file_.native());
  if (learner.was_there_) {
    IMPRINT_TRY(learner.before_, core::read_text_file(learner.file_));
    IMPRINT_TRY(learner.own_, SlotMap::parse(learner.before_, learner.file_));
    if (!learner.before_.empty() && !learner.before_.ends_with('\n')) learner.before_ += '\n';
  } else {
    learner.before_ = kHead;
  }
  return learner;
}

std::optional<std::string> SlotLearner::slot_in_files(const devices::PortPath& port) const {
  for (const SlotMap* map : {&known_, &own_}) {
    if (auto slot = map->slot_of(port)) return std::move(slot->name);
  }
  return std::nullopt;
}

std::optional<std::string> SlotLearner::slot_with(const devices::PortPath& port) const {
  const auto learned = std::ranges::find_if(slots_, [&port](const Slot& slot) { return has(slot.ports, port); });
  return learned != slots_.end() ? learned->name : slot_in_files(port);
}

std::string SlotLearner::next_name() const {
  std::uint64_t number = std::max(highest_number(known_), highest_number(own_)) + slots_.size() + 1;
  // A star may give the number to a port, too; it ends with the numbers that ports have.
  const auto is_taken = [this](const std::string& name) {
    return !known_.ports_of(name).empty() || !own_.ports_of(name).empty() ||
           std::ranges::find(slots_, name, &Slot::name) != slots_.end();
  };
  while (is_taken(std::to_string(number))) ++number;
  return std::to_string(number);
}

core::Status SlotLearner::write(const std::vector<Slot>& slots) const {
  if (slots.empty() && !was_there_) {
    std::error_code error;
    std::filesystem::remove(file_, error);
    return error ? core::Status(core::fail_errno(error.value(), "io.write-failed", file_.native())) : core::Status();
  }
  std::string text = before_;
  for (const Slot& slot : slots) {
    text += slot.name + " =";
    for (const std::string& port : slot.ports) text += " " + port;
    text += slot.is_disk ? " disk\n" : "\n";
  }
  IMPRINT_CHECK(SlotMap::parse(text, file_));
  return core::write_file(file_, core::as_bytes(text));
}

core::Result<std::string> SlotLearner::take_back(const devices::PortPath& port) {
  std::vector<Slot> fewer(slots_.begin(), std::prev(slots_.end()));
  IMPRINT_CHECK(write(fewer));
  const std::string name = slots_.back().name;
  slots_ = std::move(fewer);
  left_.reset();
  return fmt::format("Slot {} is taken back: port {} has no slot now. Plug it in once more to learn it again.", name,
                     port.text);
}

core::Result<std::string> SlotLearner::arrive(const Newcomer& newcomer, Clock::time_point now) {
  const std::string what = newcomer.product.empty() ? "a device" : newcomer.product;
  if (!newcomer.refusal.empty())
    return fmt::format("Port {}: {} is not learned. {}", newcomer.port.text, what, newcomer.refusal);
  const bool at_last = !slots_.empty() && has(slots_.back().ports, newcomer.port);
  if (at_last && left_ && now - *left_ >= kUndoPause) return take_back(newcomer.port);
  if (at_last) left_.reset();
  if (const auto slot = slot_with(newcomer.port))
    return fmt::format("Port {} is slot {} already.", newcomer.port.text, *slot);
  if (const auto slot = newcomer.peer ? slot_with(*newcomer.peer) : std::nullopt) {
    return fmt::format(
        "Port {} is the other half of the socket of port {}, which is slot {} already: add it to that line.",
        newcomer.port.text, newcomer.peer->text, *slot);
  }
  Slot slot{next_name(), {newcomer.port.text}, newcomer.is_disk};
  if (newcomer.peer) slot.ports.push_back(newcomer.peer->text);
  std::ranges::sort(slot.ports);
  std::vector<Slot> more = slots_;
  more.push_back(slot);
  IMPRINT_CHECK(write(more));
  slots_ = std::move(more);
  left_.reset();
  return fmt::format("Slot {} is port {}: {}{}. The next one, or Enter when all are done.", slot.name,
                     and_list(slot.ports), what,
                     newcomer.is_disk ? ", a disk: removable disks are written at this slot" : "");
}

void SlotLearner::leave(const devices::PortPath& port, Clock::time_point now) {
  if (!slots_.empty() && has(slots_.back().ports, port)) left_ = now;
}

}  // namespace imprint::station::cli
