// SPDX-License-Identifier: GPL-3.0-or-later
// What a phase has done and what it waited for, while it runs and afterwards: who starved whom.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

namespace imprint::engine {

// Time that a slot's thread stood still for want of something.
struct Starvation {
  std::chrono::nanoseconds source{0};  // the image's file was read
  std::chrono::nanoseconds hash{0};    // its bytes were hashed, and unpacked where they are compressed
  std::chrono::nanoseconds device{0};  // the device took or gave its bytes

  Starvation& operator+=(const Starvation& other) {
    source += other.source;
    hash += other.hash;
    device += other.device;
    return *this;
  }
};

// One thread counts, any may look.
class PhaseMeter {
 public:
  struct View {
    std::uint64_t done = 0;  // bytes
    std::uint64_t due = 0;
    Starvation starvation;
  };
  void set_due(std::uint64_t bytes) { due_ = bytes; }
  void set_done(std::uint64_t bytes) { done_ = bytes; }
  void add(const Starvation& waited) {
    source_ += waited.source.count();
    hash_ += waited.hash.count();
    device_ += waited.device.count();
  }
  [[nodiscard]] View view() const {
    return {done_, due_,
            Starvation{std::chrono::nanoseconds(source_), std::chrono::nanoseconds(hash_),
                       std::chrono::nanoseconds(device_)}};
  }

 private:
  std::atomic<std::uint64_t> done_ = 0;
  std::atomic<std::uint64_t> due_ = 0;
  std::atomic<std::int64_t> source_ = 0;
  std::atomic<std::int64_t> hash_ = 0;
  std::atomic<std::int64_t> device_ = 0;
};

// Adds the time of its life to one of the three.
class Waiting {
 public:
  explicit Waiting(std::chrono::nanoseconds& sum) : sum_(sum), start_(std::chrono::steady_clock::now()) {}
  ~Waiting() { sum_ += std::chrono::steady_clock::now() - start_; }
  Waiting(const Waiting&) = delete;
  Waiting& operator=(const Waiting&) = delete;

 private:
  std::chrono::nanoseconds& sum_;
  std::chrono::steady_clock::time_point start_;
};

}  // namespace imprint::engine
