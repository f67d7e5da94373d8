// SPDX-License-Identifier: GPL-3.0-or-later
// Records what goes over the wire: everything into one file where that is asked for, and of each attempt that does not
// pass its first and last transfers.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "devices/capture/outcome.hpp"
#include "devices/protocol/transport_tap.hpp"
#include "flash/core/result.hpp"

namespace imprint::capture {

struct RecorderSetup {
  std::optional<std::filesystem::path> file = {};  // of everything; must not be there yet; gone if it stays empty
  std::optional<std::filesystem::path> kept_folder = {};  // made when the first attempt is kept
  std::string program = {};                               // name and version, for the file
};

// Thread-safe. Takes at most PortHistory::kMostBytes of memory a port. Nothing here ever fails a job: a recording that
// cannot be written ends with its last whole transfer, and trouble() says why.
class Recorder {
 public:
  // The newest of kept_folder; older ones are deleted.
  static constexpr std::size_t kMostKept = 100;

  // `capture.file-exists`, `io.*`.
  [[nodiscard]] static core::Result<std::unique_ptr<Recorder>> open(RecorderSetup setup);
  ~Recorder();
  Recorder(const Recorder&) = delete;
  Recorder& operator=(const Recorder&) = delete;

  // A TransportTap, which may be called after the recorder is gone: transports then stay as they are.
  [[nodiscard]] devices::TransportTap tap();
  // The attempt at this port has ended and its transports are gone: the file gets the outcome as statistics of the
  // port. Where it did not pass, what is known of it is kept as attempt-<number>.pcapng, whose path is the answer.
  // Nothing where nothing was transferred or the file could not be written.
  [[nodiscard]] std::optional<std::filesystem::path> finish(const devices::PortPath& port,
                                                            const Outcome& outcome) noexcept;
  // The first thing that went wrong with a recording. Waits until the file holds what it was given, ten seconds at
  // most.
  [[nodiscard]] std::optional<core::Error> trouble();

 private:
  class State;
  explicit Recorder(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;
};

}  // namespace imprint::capture
