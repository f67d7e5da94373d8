// SPDX-License-Identifier: GPL-3.0-or-later
// The folder beside the records in which recordings of attempts that did not pass are kept.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>

#include "flash/core/bytes.hpp"
#include "flash/core/result.hpp"

namespace imprint::capture {

// `content` as attempt-<attempt>.pcapng in `folder`, which is made where it is not there; where that name is taken, by
// an attempt of other records say, as attempt-<attempt>-2.pcapng and so on. Whole or not at all; nothing that is there
// is replaced. Then all but the newest `most` of them are deleted. The path that it got; `capture.folder-not-ours` for
// a folder that is a symbolic link or another user's, `io.*`. Thread-safe.
[[nodiscard]] core::Result<std::filesystem::path> keep_recording(const std::filesystem::path& folder,
                                                                 const std::string& attempt, core::ByteView content,
                                                                 std::size_t most);

}  // namespace imprint::capture
