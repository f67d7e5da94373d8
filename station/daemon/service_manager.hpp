// SPDX-License-Identifier: GPL-3.0-or-later
// What systemd and the daemon say to each other: ready, stopping, alive; sockets that were made beforehand.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace imprint::daemon {

// All calls do nothing where no service manager listens.
class ServiceManager {
 public:
  void ready(const std::string& status) const;
  void status(const std::string& text) const;
  void reloading() const;
  void stopping() const;
  void alive() const;
  // How often alive() is expected; nothing: never.
  [[nodiscard]] static std::optional<std::chrono::milliseconds> watchdog();
  // The listening socket of this FileDescriptorName=; each once.
  [[nodiscard]] std::optional<int> take_socket(std::string_view name);

 private:
  bool taken_[8] = {};
};

}  // namespace imprint::daemon
