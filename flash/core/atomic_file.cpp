// SPDX-License-Identifier: GPL-3.0-or-later
// Write aside, sync, rename.
#include "flash/core/atomic_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "flash/core/block_io.hpp"
#include "flash/core/errors.hpp"
#include "flash/core/guid.hpp"

namespace imprint::core {
namespace {

Status sync_path(const std::filesystem::path& path, int flags) {
  const int fd = ::open(path.c_str(), flags | O_CLOEXEC);
  if (fd < 0) return fail_errno(errno, "io.write-failed", path.native());
  const int status = fsync(fd);
  const int error = errno;
  ::close(fd);
  if (status != 0) return fail_errno(error, "io.write-failed", path.native());
  return {};
}

}  // namespace

namespace {

// A link is followed, so that the file it names is replaced and not the link.
std::filesystem::path resolved(std::filesystem::path path) {
  std::error_code error;
  if (!std::filesystem::is_symlink(path, error)) return path;
  auto target = std::filesystem::weakly_canonical(path, error);
  return error ? path : target;
}

}  // namespace

AtomicFile::AtomicFile(std::filesystem::path final_path)
    : final_(resolved(std::move(final_path))),
      // Random, so that two writers of the same name, in one process or in two, never write into each other's file.
      temporary_(final_.native() + ".partial-" + Guid::random().to_string().substr(0, 8)) {}

AtomicFile::~AtomicFile() {
  std::error_code ignored;
  if (!committed_) std::filesystem::remove(temporary_, ignored);
}

Status AtomicFile::check_target() const {
  std::error_code error;
  const auto status = std::filesystem::symlink_status(final_, error);
  // Renaming over a device or a pipe would take it away from everybody who uses it.
  if (std::filesystem::exists(status) && !std::filesystem::is_regular_file(status)) {
    return fail("io.open-failed", "it is there already and is no file").with("file", final_.native());
  }
  return {};
}

Status AtomicFile::commit() {
  IMPRINT_CHECK(check_target());
  IMPRINT_CHECK(sync_path(temporary_, O_RDONLY));
  std::error_code error;
  std::filesystem::rename(temporary_, final_, error);
  if (error) return fail_errno(error.value(), "io.write-failed", final_.native());
  committed_ = true;
  const auto folder = final_.parent_path();
  return sync_path(folder.empty() ? std::filesystem::path(".") : folder, O_RDONLY | O_DIRECTORY);
}

Status write_file(const std::filesystem::path& path, ByteView content) {
  AtomicFile file(path);
  IMPRINT_CHECK(file.check_target());
  IMPRINT_TRY(auto sink, FileSink::create(file.temporary_path(), content.size()));
  IMPRINT_CHECK(sink->write_at(0, content));
  return file.commit();
}

Result<std::string> read_text_file(const std::filesystem::path& path, std::uint64_t limit) {
  IMPRINT_TRY(auto source, FileSource::open(path));
  if (source->size() > limit) {
    return fail("io.read-failed", "the file is larger than such a file can be")
        .with("file", path.native())
        .with("size", source->size())
        .with("limit", limit);
  }
  IMPRINT_TRY(const auto bytes, source->read(0, source->size()));
  return std::string(as_text(bytes));
}

}  // namespace imprint::core
