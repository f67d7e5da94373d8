// SPDX-License-Identifier: GPL-3.0-or-later
// Makes a slot file out of what is plugged in, port by port.
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "station/slot_map.hpp"

namespace imprint::station::cli {

// What was plugged in while slots are learned.
struct Newcomer {
  devices::PortPath port;
  std::optional<devices::PortPath> peer = {};  // the other port of the same socket
  std::string product = {};                    // printable
  bool is_disk = false;
  std::string refusal = {};  // a sentence: why no slot is learned from it; empty where one is
};

// One thread at a time.
class SlotLearner {
 public:
  using Clock = std::chrono::steady_clock;
  // `known`: what the slot folders say. What is in `file` already stays there. `station.slot-map-invalid`, `io.*`.
  [[nodiscard]] static core::Result<SlotLearner> make(std::filesystem::path file, SlotMap known);

  // Gives the port the next slot and writes the file; at the port learned last, after kUndoPause without a device,
  // takes that slot back. The answer is what to say. Where the file cannot be written, nothing has changed: `io.*`.
  [[nodiscard]] core::Result<std::string> arrive(const Newcomer& newcomer, Clock::time_point now);
  void leave(const devices::PortPath& port, Clock::time_point now);
  [[nodiscard]] std::size_t learned() const { return slots_.size(); }

  // A plug that loses contact for a moment, or a device that starts again, has not been pulled.
  static constexpr std::chrono::seconds kUndoPause{3};

 private:
  struct Slot {
    std::string name;
    std::vector<std::string> ports;
    bool is_disk = false;
  };
  SlotLearner(std::filesystem::path file, SlotMap known) : file_(std::move(file)), known_(std::move(known)) {}
  [[nodiscard]] std::optional<std::string> slot_in_files(const devices::PortPath& port) const;
  [[nodiscard]] std::optional<std::string> slot_with(const devices::PortPath& port) const;
  [[nodiscard]] std::string next_name() const;
  [[nodiscard]] core::Result<std::string> take_back(const devices::PortPath& port);
  [[nodiscard]] core::Status write(const std::vector<Slot>& slots) const;

  std::filesystem::path file_;
  SlotMap known_;
  SlotMap own_;         // what was in the file
  std::string before_;  // its text
  bool was_there_ = false;
  std::vector<Slot> slots_;
  std::optional<Clock::time_point> left_;  // when the device of the last slot was pulled
};

}  // namespace imprint::station::cli
