// SPDX-License-Identifier: GPL-3.0-or-later
// What the daemon does with the station's key: it tells when heads are not signed, and goes on without.
#pragma once

#include <atomic>
#include <optional>
#include <string>

#include "db/chain.hpp"
#include "station/config/station_file.hpp"
#include "station/daemon/head_key.hpp"
#include "station/daemon/journal.hpp"
#include "station/methods/api.hpp"

namespace imprint::daemon {

// Thread-safe once it is open. The journal outlives it.
class StationKey {
 public:
  explicit StationKey(const Journal& journal) : journal_(journal) {}
  StationKey(const StationKey&) = delete;
  StationKey& operator=(const StationKey&) = delete;

  // A station without a key runs, and so does one whose key is gone; heads that it exports are not signed, and say so.
  // `service.key-unusable` for the usual file where it is there and cannot be used; `sign.*` for a malformed URI.
  [[nodiscard]] core::Status open(const station::config::StationFile& station);

  // Empty: there is no key. It refers to this.
  [[nodiscard]] db::Signer signer();
  // Tokens are pulled out, and nobody asks for a head at that moment.
  void look();
  [[nodiscard]] station::methods::KeyState state() const;
  // Who waits for a token waits no longer.
  void stop() const;
  [[nodiscard]] bool hangs() const;

 private:
  [[nodiscard]] core::Result<std::string> sign(std::string_view text);
  void tell(const core::Error* error);

  const Journal& journal_;
  bool is_wanted_ = false;  // the station has one, whatever has become of it
  std::optional<HeadKey> key_;
  std::string error_;  // of a file that could not be read
  std::atomic<bool> is_good_ = true;
};

}  // namespace imprint::daemon
