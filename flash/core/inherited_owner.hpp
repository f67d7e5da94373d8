// SPDX-License-Identifier: GPL-3.0-or-later
// Files that root makes in somebody else's folder: an engineer's bench writes to the station's records, and the
// station, which runs as a user of its own, has to open them afterwards.
#pragma once

#include <filesystem>

namespace imprint::core {

// Where root made `fd` at `path`, the owner of the folder that it lies in gets it; of everybody else's files nothing
// changes. What cannot be changed stays as it is. Only for what the caller made itself: with O_EXCL, or mkdir and
// O_NOFOLLOW.
void inherit_owner(int fd, const std::filesystem::path& path) noexcept;

}  // namespace imprint::core
