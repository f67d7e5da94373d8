// SPDX-License-Identifier: GPL-3.0-or-later
// Results as they come, and who is not waited for.
#include "station/flash_waiting.hpp"

#include <algorithm>
#include <set>
#include <string>

#include "devices/protocol/errors.hpp"
#include "flash/core/errors.hpp"

namespace imprint::station {
namespace {

constexpr auto kRedraw = std::chrono::milliseconds(200);

bool any_busy(const std::vector<SlotStatus>& slots) {
  return std::ranges::any_of(slots, [](const SlotStatus& slot) {
    return slot.phase != SlotPhase::empty && slot.phase != SlotPhase::done && slot.phase != SlotPhase::latched;
  });
}

}  // namespace

std::vector<AttemptResult> wait_for_all(Session& session, std::size_t expected,
                                        const std::function<void(const std::vector<SlotStatus>&)>& show,
                                        const std::stop_token& stop, std::chrono::milliseconds quiet_limit) {
  std::vector<AttemptResult> results;
  std::set<std::string> finished;
  const std::stop_callback on_stop(stop, [&session] { session.cancel_all(); });
  auto quiet = core::Deadline::after(quiet_limit);
  while (finished.size() < expected) {
    auto result =
        session.next_finished(core::Deadline::after(std::min<std::chrono::milliseconds>(kRedraw, quiet_limit)));
    const auto status = session.snapshot();
    show(status);
    if (result || any_busy(status)) quiet = core::Deadline::after(quiet_limit);
    // A slot shows its end a moment before its result can be had: one more look after everything is quiet.
    const bool over = quiet.passed() || (stop.stop_requested() && !any_busy(status));
    if (!result && over) result = session.next_finished(core::Deadline::after(kRedraw));
    if (!result && over) break;
    if (!result) continue;
    if (finished.insert(result->slot).second) results.push_back(std::move(*result));
  }
  const auto status = session.snapshot();
  show(status);
  for (const SlotStatus& slot : status) {
    if (finished.contains(slot.slot)) continue;
    AttemptResult missing;
    missing.slot = slot.slot;
    if (stop.stop_requested()) missing.verdict = db::AttemptVerdict::aborted;
    missing.error = stop.stop_requested()
                        ? core::fail("job.cancelled").error()
                        : devices::fail("device.not-present", "it left before anything was begun with it").error();
    results.push_back(std::move(missing));
  }
  return results;
}

}  // namespace imprint::station
