// SPDX-License-Identifier: GPL-3.0-or-later
// Judges the files of a recovery partition one by one.
#include "flash/inspect/recovery_files.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

#include "flash/core/text.hpp"
#include "flash/inspect/disk_view.hpp"
#include "flash/inspect/wim_check.hpp"

namespace imprint::inspect {
namespace {

constexpr std::uint64_t kLargestVersionFile = 4096;

// The entry when the file is there; otherwise recovery.file-missing is judged.
std::optional<disk::FileEntry> judge_present(CheckList& checks, disk::Volume& volume, const std::string& name) {
  auto entry = volume.find(name);
  if (!entry) {
    if (is_file_missing(entry.error())) {
      checks.fail("recovery.file-missing", name, name + " is not there");
    } else {
      checks.fail_or_skip("recovery.file-missing", name, entry.error(), name);
    }
    return std::nullopt;
  }
  if (entry->is_directory) {
    checks.fail("recovery.file-missing", name, name + " is a folder");
    return std::nullopt;
  }
  checks.pass("recovery.file-missing", name, fmt::format("{}, {} bytes", name, entry->size));
  return *std::move(entry);
}

// The answer about the whole WIM, when it could be asked for; every check that this WIM gets is judged on the way but
// recovery.wim-not-bootable.
std::optional<WimVerdict> judge_wim(CheckList& checks, disk::Volume& volume, const std::string& name,
                                    const std::filesystem::path& scratch) {
  const auto entry = judge_present(checks, volume, name);
  if (!entry) {
    checks.not_checked("recovery.wim-too-large", name + " could not be looked at", name);
    checks.not_checked("recovery.wim-damaged", name + " could not be looked at", name);
    return std::nullopt;
  }
  const bool fits = entry->size <= kLargestFatFile;
  checks.judge("recovery.wim-too-large", fits, fmt::format("{} at most {} bytes", name, kLargestFatFile),
               fmt::format("{} {} bytes", name, entry->size));
  if (!fits) {
    checks.not_checked("recovery.wim-damaged", name + " is too large to be taken out", name);
    return std::nullopt;
  }
  const std::string expected = name + " intact";
  const auto file = volume.open_file(name);
  if (!file) {
    checks.fail_or_skip("recovery.wim-damaged", expected, file.error(), name);
    return std::nullopt;
  }
  WimVerdict verdict = check_wim(**file, scratch);
  switch (verdict.kind) {
    case WimVerdict::Kind::intact:
      checks.pass("recovery.wim-damaged", expected, fmt::format("{} intact, images {}", name, verdict.images));
      break;
    case WimVerdict::Kind::damaged:
      checks.fail("recovery.wim-damaged", expected, fmt::format("{}: {}", name, verdict.text),
                  fmt::format("{}: {}", name, verdict.text));
      break;
    case WimVerdict::Kind::unknown:
      checks.not_checked("recovery.wim-damaged", fmt::format("{}: {}", name, verdict.text), expected);
      break;
  }
  return verdict;
}

// A boot loader starts the image that the WIM's header names, and refuses a WIM that names none.
void judge_bootable(CheckList& checks, const std::string& name, const std::optional<WimVerdict>& verdict) {
  if (!verdict || verdict->kind != WimVerdict::Kind::intact) {
    checks.not_checked("recovery.wim-not-bootable", name + " could not be read, or is damaged", name);
    return;
  }
  checks.judge("recovery.wim-not-bootable", verdict->boot_index != 0, name + " with a boot index",
               fmt::format("{} boot index {}", name, verdict->boot_index));
}

// Windows tools write text as UTF-16 with a byte order mark, others as UTF-8 with or without one.
std::string decoded(core::ByteView bytes) {
  if (bytes.size() >= 2 && bytes[0] == 0xFF && bytes[1] == 0xFE) return core::utf8_from_utf16le(bytes.subspan(2));
  if (bytes.size() >= 3 && bytes[0] == 0xEF && bytes[1] == 0xBB && bytes[2] == 0xBF) bytes = bytes.subspan(3);
  return std::string(core::as_text(bytes));
}

// Numbers with dots between them: "10.0.1.0".
bool is_version(std::string_view text) {
  bool digit_before = false;
  for (const char c : text) {
    const bool digit = c >= '0' && c <= '9';
    if (!digit && (c != '.' || !digit_before)) return false;
    digit_before = digit;
  }
  return digit_before;
}

void judge_version(CheckList& checks, disk::Volume& volume, const std::string& name) {
  const auto entry = judge_present(checks, volume, name);
  if (!entry) {
    checks.not_checked("recovery.version-file", name + " could not be looked at", "a version");
    return;
  }
  if (entry->size > kLargestVersionFile) {
    checks.fail("recovery.version-file", "a version", fmt::format("{} bytes", entry->size));
    return;
  }
  const auto file = volume.open_file(name);
  const auto bytes =
      file ? (*file)->read(0, entry->size) : core::Result<core::ByteBuffer>(std::unexpected(file.error()));
  if (!bytes) {
    checks.fail_or_skip("recovery.version-file", "a version", bytes.error());
    return;
  }
  const std::string text = decoded(*bytes);
  const std::string_view version = core::trimmed(text);
  checks.judge("recovery.version-file", is_version(version), "a version",
               version.empty() ? "empty" : std::string(version.substr(0, 80)));
}

}  // namespace

void judge_recovery_files(CheckList& checks, disk::Volume& volume, const RecoveryFiles& files,
                          const std::filesystem::path& scratch) {
  for (const std::string& name : files.others) (void)judge_present(checks, volume, name);
  if (!files.version_file.empty()) judge_version(checks, volume, files.version_file);
  for (const std::string& name : files.wims) {
    const auto verdict = judge_wim(checks, volume, name, scratch);
    if (name == files.boot_wim) judge_bootable(checks, name, verdict);
  }
}

}  // namespace imprint::inspect
