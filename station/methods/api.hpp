// SPDX-License-Identifier: GPL-3.0-or-later
// The station behind its API: a conversation for each connection, in which methods are called.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>

#include "db/chain.hpp"
#include "db/records.hpp"
#include "flash/core/clock.hpp"
#include "station/api/event_log.hpp"
#include "station/images/image_store.hpp"
#include "station/line/line.hpp"
#include "station/line/sign_ins.hpp"
#include "station/methods/method_table.hpp"
#include "station/ports/port_view.hpp"
#include "station/service/server.hpp"
#include "station/training/training_bench.hpp"

namespace imprint::station::methods {

// Counts up with every change after which an old client would misunderstand.
inline constexpr int kApiNumber = 1;

// The station's key as it was when it was last used or looked at.
struct KeyState {
  std::string kind = "none";  // "file", "token"
  bool good = false;          // it could sign
  std::string fingerprint{};  // SHA-256 of the public key (SubjectPublicKeyInfo), hexadecimal
  std::string public_key{};   // PEM
  std::string error{};        // why it is not good: id and text
};

// All of it outlives the API.
struct StationParts {
  line::Line& line;
  line::SignIns& sign_ins;
  db::Records& records;
  images::ImageStore& images;
  api::EventLog& events;
  const core::WallClock& clock;
  std::filesystem::path records_file;
  std::function<core::Result<config::Configuration>()> load_configuration;
  std::function<void()> on_reload;              // after products and slots were taken over
  db::Signer sign_head;                         // empty: the station has no key
  std::function<KeyState()> key_state{};        // empty: the same
  training::TrainingBench* training = nullptr;  // nothing in production
  std::function<ports::PortView(SlotMap)> look_at_ports = ports::look_at_usb;
  std::function<void()> stop;  // asked for by station.stop; returns at once
  std::stop_token stopping;    // long methods end soon after
  [[nodiscard]] KeyState key() const { return key_state ? key_state() : KeyState(); }
};

// Which refusals are worth a row. Whoever asks over and over again is written down once in a while, and all together
// not more often than the disk bears. Thread-safe.
class RefusalLog {
 public:
  [[nodiscard]] bool is_news(const std::string& what);

 private:
  static constexpr std::chrono::minutes kQuiet{10};
  static constexpr std::size_t kMost = 1000;
  std::mutex mutex_;
  std::map<std::string, std::chrono::steady_clock::time_point> told_;
};

// Thread-safe.
class Api {
 public:
  explicit Api(StationParts station) : station_(std::move(station)), refusals_(std::make_unique<RefusalLog>()) {}
  [[nodiscard]] std::unique_ptr<service::Conversation> begin(const service::Peer& peer) const;

 private:
  StationParts station_;
  std::unique_ptr<RefusalLog> refusals_;
};

}  // namespace imprint::station::methods
