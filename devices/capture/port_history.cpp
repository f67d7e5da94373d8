// SPDX-License-Identifier: GPL-3.0-or-later
// Counts what each transfer costs, its bookkeeping included, and lets the oldest of the last ones go.
#include "devices/capture/port_history.hpp"

#include <algorithm>

namespace imprint::capture {
namespace {

constexpr std::uint64_t kPacketsOfTransfer = 2;
constexpr std::size_t kMostComment = 256;

std::size_t cost_of(const KeptTransfer& transfer) {
  return sizeof(KeptTransfer) + transfer.data.capacity() + transfer.facts.comment.capacity();
}

}  // namespace

void PortHistory::add(const TransferPlace& place, TransferFacts facts, core::ByteView data) {
  facts.comment.resize(std::min(facts.comment.size(), kMostComment));
  facts.comment.shrink_to_fit();
  const std::size_t sent = std::min(data.size(), kMostSentData);
  if (!first_is_full_) {
    const std::size_t kept = is_in(facts.kind) ? data.size() : sent;
    const std::size_t cost = sizeof(KeptTransfer) + kept + kMostComment;
    first_is_full_ = first_.size() == kFirstTransfers || first_bytes_ + cost > kMostFirstBytes;
    if (!first_is_full_) {
      if (first_.empty()) first_.reserve(kFirstTransfers);
      first_.push_back(
          {place, std::move(facts), core::ByteBuffer(data.begin(), data.begin() + static_cast<std::ptrdiff_t>(kept))});
      first_bytes_ += cost_of(first_.back());
      return;
    }
  }
  const std::size_t kept = is_in(facts.kind) ? std::min(data.size(), kMostReadData) : sent;
  last_.push_back(
      {place, std::move(facts), core::ByteBuffer(data.begin(), data.begin() + static_cast<std::ptrdiff_t>(kept))});
  last_bytes_ += cost_of(last_.back());
  while (last_bytes_ > kMostBytes - kMostFirstBytes) {
    last_bytes_ -= cost_of(last_.front());
    last_.pop_front();
    dropped_ += kPacketsOfTransfer;
  }
}

void PortHistory::clear() { *this = {}; }

std::vector<const KeptTransfer*> PortHistory::transfers() {
  if (!last_.empty()) last_.front().place.dropped = dropped_;
  std::vector<const KeptTransfer*> out;
  out.reserve(first_.size() + last_.size());
  for (const KeptTransfer& transfer : first_) out.push_back(&transfer);
  for (const KeptTransfer& transfer : last_) out.push_back(&transfer);
  return out;
}

}  // namespace imprint::capture
