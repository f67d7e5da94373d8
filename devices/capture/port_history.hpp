// SPDX-License-Identifier: GPL-3.0-or-later
// The first and the last transfers of an attempt, in little memory: what is kept where nobody asked for a recording.
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "devices/capture/pcapng_writer.hpp"

namespace imprint::capture {

struct KeptTransfer {
  TransferPlace place;
  TransferFacts facts;
  core::ByteBuffer data;  // the beginning of it
};

// Not thread-safe.
class PortHistory {
 public:
  static constexpr std::size_t kFirstTransfers = 64;
  // Of memory for the first and for the last ones together, whatever a device answers.
  static constexpr std::size_t kMostBytes = 256U << 10;
  static constexpr std::size_t kMostFirstBytes = 96U << 10;
  // Of what was sent, since the image is at hand, and of answers, which are kept whole among the first transfers.
  static constexpr std::size_t kMostSentData = 512;
  static constexpr std::size_t kMostReadData = 4096;

  void add(const TransferPlace& place, TransferFacts facts, core::ByteView data);
  void clear();

  [[nodiscard]] bool empty() const { return first_.empty() && last_.empty(); }
  // In their order; the first of the last ones knows how many packets are missing before it.
  [[nodiscard]] std::vector<const KeptTransfer*> transfers();
  [[nodiscard]] std::uint64_t dropped() const { return dropped_; }  // packets
  [[nodiscard]] std::size_t bytes() const { return first_bytes_ + last_bytes_; }

 private:
  std::vector<KeptTransfer> first_;
  std::deque<KeptTransfer> last_;
  std::size_t first_bytes_ = 0;
  std::size_t last_bytes_ = 0;
  std::uint64_t dropped_ = 0;
  bool first_is_full_ = false;
};

}  // namespace imprint::capture
