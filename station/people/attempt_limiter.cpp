// SPDX-License-Identifier: GPL-3.0-or-later
// Counts wrong PINs.
#include "station/people/attempt_limiter.hpp"

#include <algorithm>

#include "station/people/errors.hpp"

namespace imprint::station::people {

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
  const std::lock_guard lock(mutex_);
  const auto known = persons_.find(person);
  if (rules_.lock_after != 0 && known != persons_.end() && known->second.wrong >= rules_.lock_after)
    return fail("people.locked").with("person", person);
  const auto place = origins_.find(origin);
  if (place != origins_.end() && now_() - place->second.last > rules_.origin_memory) origins_.erase(place);
  const auto wait = std::max(wait_of(persons_, person), wait_of(origins_, origin));
  if (wait.count() > 0) return fail("people.too-soon").with("wait", wait.count());
  count(persons_, person);
  count(origins_, origin);
  return {};
}

void AttemptLimiter::succeeded(const std::string& person, const std::string& origin) {
  const std::lock_guard lock(mutex_);
  persons_.erase(person);
  take_back(origins_, origin);
}

void AttemptLimiter::withdrawn(const std::string& person, const std::string& origin) {
  const std::lock_guard lock(mutex_);
  take_back(persons_, person);
  take_back(origins_, origin);
}

void AttemptLimiter::unlock(const std::string& person) {
  const std::lock_guard lock(mutex_);
  persons_.erase(person);
}

bool AttemptLimiter::is_locked(const std::string& person) const {
  const std::lock_guard lock(mutex_);
  const auto found = persons_.find(person);
  return rules_.lock_after != 0 && found != persons_.end() && found->second.wrong >= rules_.lock_after;
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
    if (one.wrong != 0 && (names.size() < kMaxNames || names.contains(one.name)))
      names[one.name] = {one.wrong, now, now};
  }
}

}  // namespace imprint::station::people
