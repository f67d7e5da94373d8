// SPDX-License-Identifier: GPL-3.0-or-later
// A Unix socket that clients connect to: made here, or handed over by systemd.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>

#include "flash/core/result.hpp"

namespace imprint::service {

class Listener {
 public:
  // Mode 0660; a socket file that nobody answers on is replaced. `group` where that group exists and may be given.
  // `service.socket-in-use`, `service.socket-failed`.
  [[nodiscard]] static core::Result<Listener> bind(const std::filesystem::path& path, const std::string& group);
  // A listening socket that this process was started with; the file is not ours to remove.
  [[nodiscard]] static Listener adopt(int fd) { return {fd, {}}; }

  Listener(Listener&& other) noexcept;
  Listener& operator=(Listener&&) = delete;
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;
  ~Listener();  // removes the file, if it was made here

  [[nodiscard]] int fd() const { return fd_; }
  // The descriptor is the caller's from now on; the file stays until this object goes.
  [[nodiscard]] int release();

 private:
  Listener(int fd, std::filesystem::path path) : fd_(fd), path_(std::move(path)) {}
  int fd_;
  std::filesystem::path path_;
};

}  // namespace imprint::service
