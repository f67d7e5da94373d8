// SPDX-License-Identifier: GPL-3.0-or-later
// Counts wrong PINs.
#include "station/people/attempt_limiter.hpp"

#include <algorithm>

#include "flash/core/digest.hpp"
#include "flash/core/text.hpp"
#include "station/people/errors.hpp"

namespace imprint::station::people {

std::string AttemptLimiter::key_of(const std::string& name) {
  if (name.size() <= kMaxNameBytes) return name;
  return "sha256:" + core::to_hex(core::sha256(core::as_bytes(name)));
}

bool AttemptLimiter::is_locked(const Tries& tries) const {
  return rules_.lock_after != 0 && tries.wrong >= rules_.lock_after;
}

void AttemptLimiter::forget_old() {
  const Clock::time_point now = now_();
  std::erase_if(persons_, [&](const auto& entry) {
    return !is_locked(entry.second) && now - entry.second.last > rules_.person_memory;
  });
  std::erase_if(origins_, [&](const auto& entry) { return now - entry.second.last > rules_.origin_memory; });
}

std::chrono::milliseconds AttemptLimiter::wait_of(const Names& names, const std::string& name) const {
  const auto found = names.find(name);
  if (found == names.end() || found->second.wrong <= rules_.free) return std::chrono::milliseconds(0);
  std::chrono::milliseconds delay = std::min(rules_.first_delay, rules_.longest_delay);
  for (unsigned i = rules_.free + 1; i < found->second.wrong && delay < rules_.longest_delay; ++i) {
    delay = std::min(delay * 2, rules_.longest_delay);
  }
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(found->second.last + delay - now_());
  return std::max(left, std::chrono::milliseconds(0));
}

void AttemptLimiter::count(Names& names, const std::string& name) const {
  // Made-up names must not fill the memory. The one with the least to lose goes.
  if (names.size() >= kMaxNames && !names.contains(name)) {
    names.erase(std::ranges::min_element(names, [](const auto& a, const auto& b) {
      return std::pair(a.second.wrong, a.second.last) < std::pair(b.second.wrong, b.second.last);
    }));
  }
  Tries& tries = names[name];
  ++tries.wrong;
  tries.before = tries.last;
  tries.last = now_();
}

void AttemptLimiter::take_back(Names& names, const std::string& name) {
  const auto found = names.find(name);
  if (found == names.end()) return;
  // A right PIN must not renew the delay that wrong ones before it have served.
  found->second.last = found->second.before;
  if (--found->second.wrong == 0) names.erase(found);
}

core::Status AttemptLimiter::begin(const std::string& person, const std::string& origin) {
  const std::string who = key_of(person);
  const std::string where = key_of(origin);
  const std::lock_guard lock(mutex_);
  forget_old();
  const auto known = persons_.find(who);
  if (known != persons_.end() && is_locked(known->second)) return fail("people.locked");
  const auto wait = std::max(wait_of(persons_, who), wait_of(origins_, where));
  if (wait.count() > 0) return fail("people.too-soon").with("wait", wait.count());
  count(persons_, who);
  count(origins_, where);
  return {};
}

void AttemptLimiter::succeeded(const std::string& person, const std::string& origin) {
  const std::lock_guard lock(mutex_);
  persons_.erase(key_of(person));
  take_back(origins_, key_of(origin));
}

void AttemptLimiter::withdrawn(const std::string& person, const std::string& origin) {
  const std::lock_guard lock(mutex_);
  take_back(persons_, key_of(person));
  take_back(origins_, key_of(origin));
}

void AttemptLimiter::unlock(const std::string& person) {
  const std::lock_guard lock(mutex_);
  persons_.erase(key_of(person));
}

bool AttemptLimiter::is_locked(const std::string& person) const {
  const std::lock_guard lock(mutex_);
  const auto found = persons_.find(key_of(person));
  return found != persons_.end() && is_locked(found->second);
}

std::vector<AttemptLimiter::Count> AttemptLimiter::state() const {
  const std::lock_guard lock(mutex_);
  std::vector<Count> counts;
  for (const auto& [name, tries] : persons_) counts.push_back({Subject::person, name, tries.wrong});
  for (const auto& [name, tries] : origins_) counts.push_back({Subject::origin, name, tries.wrong});
  return counts;
}

void AttemptLimiter::restore(const std::vector<Count>& counts) {
  const std::lock_guard lock(mutex_);
  const Clock::time_point now = now_();
  for (const Count& one : counts) {
    Names& names = one.subject == Subject::person ? persons_ : origins_;
    const std::string key = key_of(one.name);
    if (one.wrong != 0 && (names.size() < kMaxNames || names.contains(key))) names[key] = {one.wrong, now, now};
  }
}

}  // namespace imprint::station::people
