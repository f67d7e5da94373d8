// SPDX-License-Identifier: GPL-3.0-or-later
// The system's clock and ISO 8601 text.
#include "flash/core/clock.hpp"

#include <fmt/chrono.h>

#include <ctime>

namespace imprint::core {
namespace {

struct Split {
  std::time_t seconds;
  long milliseconds;
};

Split split(UtcTime time) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(time);
  return {static_cast<std::time_t>(seconds.time_since_epoch().count()), static_cast<long>((time - seconds).count())};
}

}  // namespace

UtcTime SystemClock::now() const {
  return std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
}

std::string to_iso8601(UtcTime time) {
  const auto [seconds, milliseconds] = split(time);
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z", parts, milliseconds);
}

std::string to_iso8601_local(UtcTime time) {
  const auto [seconds, milliseconds] = split(time);
  std::tm parts{};
  localtime_r(&seconds, &parts);
  const long offset = parts.tm_gmtoff / 60;
  const long absolute = offset < 0 ? -offset : offset;
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}{}{:02}:{:02}", parts, milliseconds, offset < 0 ? '-' : '+',
                     absolute / 60, absolute % 60);
}

}  // namespace imprint::core
