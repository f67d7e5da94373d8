// SPDX-License-Identifier: GPL-3.0-or-later
// Lines of slots.
#include "station/cli/slot_lines.hpp"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "flash/core/text.hpp"
#include "station/cli/console.hpp"

namespace imprint::station::cli {
namespace {

std::string result_text(const SlotStatus& status) {
  if (*status.verdict == db::AttemptVerdict::passed) {
    return fmt::format("{}PASS ({}), remove", status.training ? "TRAINING " : "", db::to_string(status.proof));
  }
  std::string word = *status.verdict == db::AttemptVerdict::refused      ? "REFUSED"
                     : *status.verdict == db::AttemptVerdict::incomplete ? "INCOMPLETE"
                     : *status.verdict == db::AttemptVerdict::aborted    ? "ABORTED"
                                                                         : "FAIL";
  return fmt::format("{}  {}: {}", word, status.error_id, status.message);
}

std::size_t terminal_columns() {
  winsize size{};
  return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

std::string first_columns(std::string text, std::size_t columns) {
  if (text.size() <= columns) return text;
  while (columns > 0 && (static_cast<unsigned char>(text[columns]) & 0xC0) == 0x80) --columns;
  return text.substr(0, columns);
}

}  // namespace

std::string slot_line(const SlotStatus& status) {
  std::string out = fmt::format("Slot {:<3} ", core::printable(status.slot));
  if (status.phase == SlotPhase::empty) return out + "empty";
  if (status.phase == SlotPhase::latched) return out + "take the device out, and wait before the next one";
  if (status.verdict) return out + result_text(status);
  out += fmt::format("{:<10}", to_string(status.phase));
  if (status.due == 0) return out;
  const auto filled = static_cast<std::size_t>(std::min<std::uint64_t>(16, status.done * 16 / status.due));
  out += fmt::format(" [{}{}] {:>6.1f} of {:.1f} MiB  {:>10}", std::string(filled, '#'), std::string(16 - filled, '.'),
                     static_cast<double>(status.done) / 1048576.0, static_cast<double>(status.due) / 1048576.0,
                     core::format_rate(status.rate));
  if (status.left) out += fmt::format("  {} s left", status.left->count());
  if (const std::string starved = starved_text(status.waited); !starved.empty()) out += "  " + starved;
  return out;
}

SlotLines::SlotLines() : terminal_(isatty(STDOUT_FILENO) != 0) {}

void SlotLines::erase() {
  if (drawn_ > 0) print(fmt::format("\x1b[{}A\x1b[J", drawn_));
  drawn_ = 0;
}

void SlotLines::show(const std::vector<SlotStatus>& slots) {
  if (terminal_) {
    erase();
    // A line that wraps would take two rows, and the redrawing counts rows.
    for (const SlotStatus& status : slots) print_line(first_columns(slot_line(status), terminal_columns()));
    drawn_ = slots.size();
    return;
  }
  for (const SlotStatus& status : slots) {
    // Bytes only matter by quarters in a log; a change of phase or a result always does.
    const std::uint64_t quarter = status.due == 0 ? 0 : status.done * 4 / status.due;
    const bool fresh = status.due != 0 && status.done == 0;
    const std::string mark =
        fmt::format("{}/{}/{}/{}", status.attempt, static_cast<int>(status.phase), quarter, status.error_id);
    auto& last = last_mark_[status.slot];
    if (mark == last || status.phase == SlotPhase::empty || fresh) continue;
    last = mark;
    print_line(slot_line(status));
  }
}

void SlotLines::say(const std::string& text, const std::vector<SlotStatus>& slots) {
  if (terminal_) erase();
  print_line(text);
  if (terminal_) show(slots);
}

}  // namespace imprint::station::cli
