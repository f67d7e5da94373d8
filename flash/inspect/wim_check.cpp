// SPDX-License-Identifier: GPL-3.0-or-later
// Copies a WIM to a scratch file and verifies it with wimlib.
#include "flash/inspect/wim_check.hpp"

#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include <wimlib.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "flash/core/errors.hpp"
#include "flash/inspect/check_list.hpp"

namespace imprint::inspect {
namespace {

constexpr std::uint64_t kPiece = 1U << 20;

// A file of our own in the scratch folder; gone with this object.
class ScratchFile {
 public:
  static core::Result<ScratchFile> create(const std::filesystem::path& folder) {
    std::string name = (folder / "imprint-wim-XXXXXX").string();
    const int fd = mkostemp(name.data(), O_CLOEXEC);
    if (fd < 0) return core::fail_errno(errno, "io.open-failed", name);
    return ScratchFile(fd, std::move(name));
  }
  ScratchFile(ScratchFile&& other) noexcept : fd_(std::exchange(other.fd_, -1)), name_(std::move(other.name_)) {}
  ScratchFile& operator=(ScratchFile&&) = delete;
  ~ScratchFile() {
    if (fd_ < 0) return;
    close(fd_);
    unlink(name_.c_str());
  }
  [[nodiscard]] const std::string& name() const { return name_; }

  [[nodiscard]] core::Status require_space(std::uint64_t bytes) const {
    struct statvfs info{};
    if (fstatvfs(fd_, &info) != 0) return core::fail_errno(errno, "io.open-failed", name_);
    std::uint64_t free = 0;
    // An overflow means more space than there are bytes to count it with.
    if (!core::checked_mul(info.f_bavail, info.f_frsize, free) || free >= bytes) return {};
    return core::fail("io.disk-full", "the scratch folder has no room for the WIM")
        .with("file", name_)
        .with("expected", bytes)
        .with("actual", free);
  }

  [[nodiscard]] core::Status append(core::ByteView data) {
    while (!data.empty()) {
      const ssize_t written = write(fd_, data.data(), data.size());
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) return core::fail_errno(written < 0 ? errno : EIO, "io.write-failed", name_);
      data = data.subspan(static_cast<std::size_t>(written));
    }
    return {};
  }

 private:
  ScratchFile(int fd, std::string name) : fd_(fd), name_(std::move(name)) {}
  int fd_;
  std::string name_;
};

core::Result<ScratchFile> copy_out(const core::BlockSource& file, const std::filesystem::path& scratch) {
  IMPRINT_TRY(ScratchFile out, ScratchFile::create(scratch));
  IMPRINT_CHECK(out.require_space(file.size()));
  std::vector<std::uint8_t> piece(static_cast<std::size_t>(std::min<std::uint64_t>(kPiece, file.size())));
  for (std::uint64_t at = 0; at < file.size(); at += piece.size()) {
    const auto length = static_cast<std::size_t>(std::min<std::uint64_t>(piece.size(), file.size() - at));
    const core::ByteSpan part(piece.data(), length);
    IMPRINT_CHECK(file.read_at(at, part));
    IMPRINT_CHECK(out.append(part));
  }
  return out;
}

std::string words(int code) {
  const wimlib_tchar* text = wimlib_get_error_string(static_cast<wimlib_error_code>(code));
  return text != nullptr ? text : "wimlib error " + std::to_string(code);
}

// Failures of this machine, which say nothing about the WIM.
bool is_machine_fault(int code) {
  return code == WIMLIB_ERR_NOMEM || code == WIMLIB_ERR_OPEN || code == WIMLIB_ERR_READ || code == WIMLIB_ERR_STAT ||
         code == WIMLIB_ERR_ABORTED_BY_PROGRESS;
}

WimVerdict from_code(int code) {
  return {is_machine_fault(code) ? WimVerdict::Kind::unknown : WimVerdict::Kind::damaged, 0, 0, words(code)};
}

WimVerdict verify(const std::string& path) {
  // The library's tables are made once, by whichever thread comes first; a local static is initialised under a lock.
  static const int kInitialised = wimlib_global_init(0);
  if (kInitialised != 0) return {WimVerdict::Kind::unknown, 0, 0, words(kInitialised)};
  WIMStruct* raw = nullptr;
  const int opened = wimlib_open_wim(path.c_str(), WIMLIB_OPEN_FLAG_CHECK_INTEGRITY, &raw);
  const std::unique_ptr<WIMStruct, decltype(&wimlib_free)> wim(raw, &wimlib_free);
  if (opened != 0) return from_code(opened);
  wimlib_wim_info info{};
  if (const int code = wimlib_get_wim_info(wim.get(), &info); code != 0) return from_code(code);
  if (info.total_parts != 1) return {WimVerdict::Kind::damaged, 0, 0, "it is one part of a split WIM"};
  if (info.image_count == 0) return {WimVerdict::Kind::damaged, 0, 0, "there is no image in it"};
  if (const int code = wimlib_verify_wim(wim.get(), 0); code != 0) return from_code(code);
  return {WimVerdict::Kind::intact, info.image_count, info.boot_index, {}};
}

}  // namespace

WimVerdict check_wim(const core::BlockSource& file, const std::filesystem::path& scratch) {
  const auto copy = copy_out(file, scratch);
  if (!copy) {
    const core::Error& error = copy.error();
    return {says_contents_are_bad(error) ? WimVerdict::Kind::damaged : WimVerdict::Kind::unknown, 0, 0,
            std::string(error.id()) + ": " + error.message()};
  }
  return verify(copy->name());
}

}  // namespace imprint::inspect
