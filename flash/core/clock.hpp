// SPDX-License-Identifier: GPL-3.0-or-later
// Wall-clock time as the records need it, behind a seam so that tests can turn it back.
#pragma once

#include <chrono>
#include <string>

namespace imprint::core {

using UtcTime = std::chrono::sys_time<std::chrono::milliseconds>;

class WallClock {
 public:
  WallClock() = default;
  WallClock(const WallClock&) = delete;
  WallClock& operator=(const WallClock&) = delete;
  virtual ~WallClock() = default;
  [[nodiscard]] virtual UtcTime now() const = 0;
};

class SystemClock final : public WallClock {
 public:
  [[nodiscard]] UtcTime now() const override;
};

// "2026-11-21T10:20:30.123Z"
[[nodiscard]] std::string to_iso8601(UtcTime time);
// "2026-11-21T11:20:30.123+01:00", in the machine's zone.
[[nodiscard]] std::string to_iso8601_local(UtcTime time);

}  // namespace imprint::core
