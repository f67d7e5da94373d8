// SPDX-License-Identifier: GPL-3.0-or-later
// The only file that knows wimlib.
#include "flash/imaging/wim.hpp"

#include <fmt/format.h>
#include <wimlib.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>

#include "flash/core/errors.hpp"
#include "flash/imaging/errors.hpp"

namespace imprint::imaging {
namespace {

// A few threads are enough for images of some hundred MiB, and each one costs memory.
constexpr unsigned kThreads = 2;

struct FreeWim {
  void operator()(WIMStruct* wim) const { wimlib_free(wim); }
};
using Wim = std::unique_ptr<WIMStruct, FreeWim>;

// wimlib's words for `code`. A full disk shows only in errno, which is cleared before every call for that reason.
core::Failure wim_failure(int code, std::string_view step, const std::filesystem::path& path) {
  if (errno == ENOSPC && code != WIMLIB_ERR_NTFS_3G) return core::fail_errno(ENOSPC, "io.disk-full", path.string());
  return fail("image.wim-failed",
              fmt::format("{}: {}", step, wimlib_get_error_string(static_cast<wimlib_error_code>(code))))
      .with("file", path.string());
}

core::Result<Wim> new_wim(WimCompression compression) {
  WIMStruct* raw = nullptr;
  const auto type = compression == WimCompression::fast ? WIMLIB_COMPRESSION_TYPE_XPRESS : WIMLIB_COMPRESSION_TYPE_LZX;
  errno = 0;
  if (const int code = wimlib_create_new_wim(type, &raw); code != 0) return wim_failure(code, "creating", {});
  return Wim(raw);
}

core::Result<Wim> open_wim(const std::filesystem::path& path, int flags) {
  WIMStruct* raw = nullptr;
  errno = 0;
  if (const int code = wimlib_open_wim(path.c_str(), flags, &raw); code != 0) return wim_failure(code, "opening", path);
  return Wim(raw);
}

// The XML of a WIM carries its times as two halves of a Windows time. Writing a new image puts the clock's time there,
// so that they can be set only afterwards, which rewrites nothing but the XML.
core::Status set_image_times(const std::filesystem::path& path, std::int64_t unix_time) {
  constexpr std::int64_t kUnixEpoch = 116444736000000000;  // in 100 ns since 1601
  const auto ticks = static_cast<std::uint64_t>(kUnixEpoch + unix_time * 10000000);
  IMPRINT_TRY(const Wim wim, open_wim(path, WIMLIB_OPEN_FLAG_WRITE_ACCESS));
  for (const std::string property : {"CREATIONTIME", "LASTMODIFICATIONTIME"}) {
    const std::array<std::pair<const char*, std::uint64_t>, 2> halves{
        {{"/HIGHPART", ticks >> 32}, {"/LOWPART", ticks & 0xFFFFFFFF}}};
    for (const auto& [half, value] : halves) {
      const int code =
          wimlib_set_image_property(wim.get(), 1, (property + half).c_str(), fmt::format("0x{:08X}", value).c_str());
      if (code != 0) return wim_failure(code, "dating", path);
    }
  }
  errno = 0;
  const int code = wimlib_overwrite(wim.get(), WIMLIB_WRITE_FLAG_CHECK_INTEGRITY, kThreads);
  if (code != 0) return wim_failure(code, "dating", path);
  return {};
}

}  // namespace

core::Status capture_wim(const std::filesystem::path& source, WimSource kind, const WimRequest& request,
                         const std::filesystem::path& out) {
  IMPRINT_TRY(const Wim wim, new_wim(request.compression));
  const int add_flags = kind == WimSource::ntfs_volume ? WIMLIB_ADD_FLAG_NTFS : WIMLIB_ADD_FLAG_NO_ACLS;
  errno = 0;
  int code = wimlib_add_image(wim.get(), source.c_str(), request.image_name.c_str(), nullptr, add_flags);
  if (code != 0) return wim_failure(code, "capturing", source);
  wimlib_wim_info info{};
  std::copy_n(request.id.mixed_endian().begin(), sizeof(info.guid), info.guid);
  info.boot_index = request.bootable ? 1 : 0;
  code = wimlib_set_wim_info(wim.get(), &info, WIMLIB_CHANGE_GUID | WIMLIB_CHANGE_BOOT_INDEX);
  if (code != 0) return wim_failure(code, "naming", out);
  errno = 0;
  code = wimlib_write(wim.get(), out.c_str(), WIMLIB_ALL_IMAGES,
                      WIMLIB_WRITE_FLAG_CHECK_INTEGRITY | WIMLIB_WRITE_FLAG_RETAIN_GUID, kThreads);
  if (code != 0) return wim_failure(code, "writing", out);
  return set_image_times(out, request.time);
}

core::Status apply_folder_to_ntfs(const std::filesystem::path& folder, const std::filesystem::path& volume) {
  // Written and opened again: wimlib extracts only from images that are in a file.
  const std::filesystem::path aside = volume.string() + ".wim";
  IMPRINT_CHECK(capture_wim(folder, WimSource::folder,
                            {.image_name = "content", .compression = WimCompression::fast, .time = 0}, aside));
  IMPRINT_TRY(Wim wim, open_wim(aside, 0));
  errno = 0;
  const int code =
      wimlib_extract_image(wim.get(), 1, volume.c_str(), WIMLIB_EXTRACT_FLAG_NTFS | WIMLIB_EXTRACT_FLAG_NO_ACLS);
  const int reason = errno;
  wim.reset();
  std::error_code ignored;
  std::filesystem::remove(aside, ignored);
  if (code == 0) return {};
  errno = reason;
  core::Failure failure = wim_failure(code, "applying", volume);
  if (reason != ENOSPC) return failure;
  // Either the volume or the disk that the volume's file lies on is full.
  const auto space = std::filesystem::space(volume, ignored);
  if (!ignored && space.available < (1U << 20)) return core::fail_errno(ENOSPC, "io.disk-full", volume.string());
  return fail("image.partition-full").with("file", volume.string()).caused_by(std::move(failure).error());
}

core::Status verify_wim(const std::filesystem::path& path) {
  IMPRINT_TRY(const Wim wim, open_wim(path, WIMLIB_OPEN_FLAG_CHECK_INTEGRITY));
  errno = 0;
  if (const int code = wimlib_verify_wim(wim.get(), 0); code != 0) return wim_failure(code, "verifying", path);
  return {};
}

}  // namespace imprint::imaging
