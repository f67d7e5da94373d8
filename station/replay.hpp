// SPDX-License-Identifier: GPL-3.0-or-later
// A recorded attempt once more, with the recorded device in place of the device: does this program still do the same?
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include "db/records.hpp"
#include "devices/capture/recording.hpp"
#include "flash/core/result.hpp"
#include "station/armed_image.hpp"

namespace imprint::station {

enum class ReplayResult : std::uint8_t {
  agrees,
  agrees_to_end,  // of the recording: nothing is known of what comes after it
  differs
};
// "agrees", "agrees-to-end", "differs".
[[nodiscard]] std::string_view to_string(ReplayResult result);

struct ReplayReport {
  ReplayResult result = ReplayResult::agrees;
  std::uint64_t transfers = 0;                // that were replayed
  std::uint64_t uncompared = 0;               // bytes sent in them that the recording does not have
  std::optional<db::AttemptVerdict> verdict;  // nothing where only the identification was replayed
  db::ProofLevel proof = db::ProofLevel::none;
  std::optional<core::Error> error;       // of the replayed attempt
  std::optional<core::Error> difference;  // the first one: `capture.replay-differs`
  std::string note;                       // what was not compared, and why
};

// Only the protocol is replayed: the records are new and empty, no signature is asked for, and the recipe's rules over
// the disk are not there. Outcomes that such things decided are not compared, and a PASS of an attempt with rules is
// compared up to where they begin. An attempt that gives up while the recorded one went on always differs. Without
// `image` only the identification is replayed. `attempt`: an index of recording->attempts(), whose device speaks a
// protocol of ours
// (`capture.nothing-to-replay` otherwise). `scratch`: an empty folder. Errors of the records.
[[nodiscard]] core::Result<ReplayReport> replay_attempt(const std::shared_ptr<const capture::Recording>& recording,
                                                        std::size_t attempt, const ArmedImage* image,
                                                        const std::filesystem::path& scratch,
                                                        const std::stop_token& stop);

}  // namespace imprint::station
