// SPDX-License-Identifier: GPL-3.0-or-later
// The ring of events.
#include "station/api/event_log.hpp"

#include <algorithm>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

namespace imprint::api {

namespace json = boost::json;

void EventLog::publish(std::string_view kind, json::object data) {
  {
    // Written under the lock, so that no event has a number before one that is older.
    const std::scoped_lock lock(mutex_);
    json::object params{
        {"seq", next_}, {"at", core::to_iso8601_local(clock_.now())}, {"kind", kind}, {"data", std::move(data)}};
    auto line = std::make_shared<const std::string>(
        json::serialize(json::object{{"jsonrpc", "2.0"}, {"method", "event"}, {"params", std::move(params)}}));
    bytes_ += line->size();
    lines_.push_back(std::move(line));
    ++next_;
    while (lines_.size() > kMostEvents || (bytes_ > kMostBytes && lines_.size() > 1)) {
      bytes_ -= lines_.front()->size();
      lines_.pop_front();
    }
  }
  const std::scoped_lock lock(listener_mutex_);
  if (listener_) listener_();
}

EventLog::Page EventLog::from(std::uint64_t from, std::size_t most) const {
  const std::scoped_lock lock(mutex_);
  const std::uint64_t oldest = next_ - lines_.size();
  Page page;
  const std::uint64_t begin = std::clamp(from, oldest, next_);
  if (from < oldest) page.missed = oldest - from;
  const std::uint64_t end = std::min<std::uint64_t>(next_, begin + most);
  for (std::uint64_t at = begin; at < end; ++at) page.lines.push_back(lines_[at - oldest]);
  page.next = end;
  return page;
}

std::uint64_t EventLog::next() const {
  const std::scoped_lock lock(mutex_);
  return next_;
}

void EventLog::on_event(std::function<void()> listener) {
  const std::scoped_lock lock(listener_mutex_);
  listener_ = std::move(listener);
}

}  // namespace imprint::api
