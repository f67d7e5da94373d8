// SPDX-License-Identifier: GPL-3.0-or-later
// Matches scans with the slots that ask for one.
#include "station/admission/scan_desk.hpp"

#include <algorithm>
#include <utility>

#include "flash/core/errors.hpp"
#include "station/admission/errors.hpp"

namespace imprint::station::admission {
namespace {

// A clock that stands still, as tests have it, must not make a busy loop of waiting.
constexpr std::chrono::milliseconds kLongestNap = std::chrono::minutes(1);

}  // namespace

std::string_view to_string(ScanNotice::Kind kind) {
  switch (kind) {
    case ScanNotice::Kind::waits:
      return "waits";
    case ScanNotice::Kind::given:
      return "given";
    case ScanNotice::Kind::replaced:
      return "replaced";
    case ScanNotice::Kind::dropped:
      return "dropped";
    case ScanNotice::Kind::cleared:
      return "cleared";
  }
  return "waits";
}

void ScanDesk::say(const Notices& notices) const {
  for (const ScanNotice& notice : notices) options_.notice(notice);
}

void ScanDesk::drop_stale(Notices& notices) {
  if (!held_ || options_.now() < held_->until) return;
  notices.push_back({ScanNotice::Kind::dropped, std::move(held_->scan), {}});
  held_.reset();
}

std::optional<std::string> ScanDesk::put(Scan scan) {
  Notices notices;
  std::optional<std::string> taker;
  {
    const std::lock_guard lock(mutex_);
    drop_stale(notices);
    const auto asks = [&scan](const Asking& asking) {
      return !asking.given && !asking.displaced && (scan.slot.empty() || asking.slot == scan.slot);
    };
    const auto found = std::ranges::find_if(asking_, asks);
    if (found != asking_.end()) {
      taker = found->slot;
      notices.push_back({ScanNotice::Kind::given, scan, found->slot});
      found->given = std::move(scan);
    } else {
      if (held_) notices.push_back({ScanNotice::Kind::replaced, std::move(held_->scan), {}});
      notices.push_back({ScanNotice::Kind::waits, scan, {}});
      held_ = Held{std::move(scan), options_.now() + options_.hold};
    }
    changed_.notify_all();
  }
  say(notices);
  return taker;
}

std::optional<Scan> ScanDesk::held_for(const std::string& slot) {
  if (!held_ || (!held_->scan.slot.empty() && held_->scan.slot != slot)) return std::nullopt;
  std::optional<Scan> scan(std::move(held_->scan));
  held_.reset();
  return scan;
}

void ScanDesk::expect(const std::string& slot) {
  Notices notices;
  {
    const std::lock_guard lock(mutex_);
    drop_stale(notices);
    if (std::ranges::find(asking_, slot, &Asking::slot) == asking_.end()) {
      Asking& place = asking_.emplace_back(Asking{slot, held_for(slot)});
      if (place.given) notices.push_back({ScanNotice::Kind::given, *place.given, slot});
    }
  }
  say(notices);
}

void ScanDesk::leave(const std::string& slot) {
  Notices notices;
  {
    const std::lock_guard lock(mutex_);
    std::erase_if(asking_, [&](const Asking& asking) {
      if (asking.slot != slot || asking.takes) return false;
      if (asking.given) notices.push_back({ScanNotice::Kind::dropped, *asking.given, slot});
      return true;
    });
  }
  say(notices);
}

core::Result<Scan> ScanDesk::take(const std::string& slot, std::chrono::milliseconds patience, std::stop_token stop) {
  expect(slot);
  const Clock::time_point until = options_.now() + patience;
  std::unique_lock lock(mutex_);
  for (Asking& other : asking_) other.displaced = other.displaced || (other.slot == slot && other.takes);
  changed_.notify_all();
  auto mine = std::ranges::find_if(asking_, [&](const Asking& one) { return one.slot == slot && !one.takes; });
  if (mine == asking_.end()) mine = asking_.insert(asking_.end(), Asking{slot, std::nullopt});
  mine->takes = true;
  while (!mine->given && !mine->displaced && !stop.stop_requested()) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - options_.now());
    if (left.count() <= 0) break;
    changed_.wait_for(lock, stop, std::min(left, kLongestNap),
                      [&] { return mine->given || mine->displaced || options_.now() >= until; });
  }
  // A scan that was given is this slot's, also where the wait ended in the same moment: it must not get lost. Whoever
  // was stopped has nobody to give it to: it is the next one's.
  std::optional<Scan> scan = std::move(mine->given);
  const bool displaced = mine->displaced;
  asking_.erase(mine);
  Notices notices;
  if (scan && stop.stop_requested()) {
    notices.push_back(held_ ? ScanNotice{ScanNotice::Kind::dropped, *scan, slot}
                            : ScanNotice{ScanNotice::Kind::waits, *scan, {}});
    if (!held_) held_ = Held{std::move(*scan), options_.now() + options_.hold};
    scan.reset();
  }
  lock.unlock();
  say(notices);
  if (scan) return std::move(*scan);
  if (displaced || stop.stop_requested()) return core::fail("job.cancelled", "waiting for a scan").with("slot", slot);
  return fail("serial.scan-missing").with("slot", slot).with("waited_ms", patience.count());
}

std::optional<ScanDesk::Waiting> ScanDesk::waiting() const {
  const std::lock_guard lock(mutex_);
  if (!held_) return std::nullopt;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(held_->until - options_.now());
  if (left.count() <= 0) return std::nullopt;
  return Waiting{held_->scan, left};
}

std::vector<std::string> ScanDesk::slots_that_ask() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> slots;
  for (const Asking& asking : asking_) {
    if (asking.takes && !asking.given && !asking.displaced) slots.push_back(asking.slot);
  }
  return slots;
}

void ScanDesk::clear() {
  Notices notices;
  {
    const std::lock_guard lock(mutex_);
    if (held_) notices.push_back({ScanNotice::Kind::cleared, std::move(held_->scan), {}});
    std::erase_if(asking_, [](const Asking& asking) { return !asking.takes; });
    held_.reset();
  }
  say(notices);
}

void ScanDesk::look_at_clock() {
  Notices notices;
  {
    const std::lock_guard lock(mutex_);
    drop_stale(notices);
    changed_.notify_all();
  }
  say(notices);
}

}  // namespace imprint::station::admission
