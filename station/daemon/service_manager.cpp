// SPDX-License-Identifier: GPL-3.0-or-later
// libsystemd's sd-daemon.
#include "station/daemon/service_manager.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>

#include <cstdlib>
#include <ctime>
#include <iterator>
#include <memory>

namespace imprint::daemon {

void ServiceManager::ready(const std::string& status) const { sd_notify(0, ("READY=1\nSTATUS=" + status).c_str()); }
void ServiceManager::status(const std::string& text) const { sd_notify(0, ("STATUS=" + text).c_str()); }
void ServiceManager::reloading() const {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  const std::int64_t microseconds = now.tv_sec * 1'000'000LL + now.tv_nsec / 1000;
  sd_notify(0, ("RELOADING=1\nMONOTONIC_USEC=" + std::to_string(microseconds)).c_str());
}
void ServiceManager::stopping() const { sd_notify(0, "STOPPING=1"); }
void ServiceManager::alive() const { sd_notify(0, "WATCHDOG=1"); }

std::optional<std::chrono::milliseconds> ServiceManager::watchdog() {
  std::uint64_t microseconds = 0;
  if (sd_watchdog_enabled(0, &microseconds) <= 0) return std::nullopt;
  return std::chrono::milliseconds(microseconds / 1000);
}

std::optional<int> ServiceManager::take_socket(std::string_view name) {
  char** names = nullptr;
  // The variables stay set, since this is asked once for each socket; children get an environment of their own.
  const int count = sd_listen_fds_with_names(0, &names);
  std::optional<int> found;
  for (int i = 0; i < count; ++i) {
    if (names != nullptr && name == names[i] && !found && i < static_cast<int>(std::size(taken_)) && !taken_[i] &&
        sd_is_socket_unix(SD_LISTEN_FDS_START + i, SOCK_STREAM, 1, nullptr, 0) > 0) {
      taken_[i] = true;
      found = SD_LISTEN_FDS_START + i;
    }
    // libsystemd gives them to the caller, one by one.
    if (names != nullptr) std::free(names[i]);  // NOLINT(cppcoreguidelines-no-malloc)
  }
  std::free(static_cast<void*>(names));  // NOLINT(cppcoreguidelines-no-malloc)
  return found;
}

}  // namespace imprint::daemon
