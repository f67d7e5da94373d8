// SPDX-License-Identifier: GPL-3.0-or-later
// Where the sample workspace lies: beside the sources when the program runs from a build, in share/ when installed.
#pragma once

#include <filesystem>

namespace imprint::station::cli {

[[nodiscard]] std::filesystem::path default_sample_workspace(const char* program);

}  // namespace imprint::station::cli
