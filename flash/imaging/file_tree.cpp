// SPDX-License-Identifier: GPL-3.0-or-later
// Collects, checks and copies the files of one partition.
#include "flash/imaging/file_tree.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <array>
#include <cerrno>

#include "flash/core/bytes.hpp"
#include "flash/core/errors.hpp"
#include "flash/core/text.hpp"
#include "flash/disk/errors.hpp"
#include "flash/imaging/errors.hpp"

namespace imprint::imaging {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t kMaxNameUnits = 255;  // UTF-16 units, of FAT long names and of NTFS

core::Status check_name(std::string_view name) {
  const auto utf16 = core::utf16le_from_utf8(name);
  bool good = utf16 && utf16->size() / 2 <= kMaxNameUnits && !name.ends_with('.') && !name.ends_with(' ');
  for (const char c : name) {
    good =
        good && static_cast<unsigned char>(c) >= 0x20 && std::string_view("<>:\"|?*").find(c) == std::string_view::npos;
  }
  if (!good)
    return disk::fail("workspace.value-invalid", "Windows does not allow this name")
        .with("actual", core::printable(name));
  return {};
}

core::Status set_time(const fs::path& path, std::int64_t time) {
  const std::array<timespec, 2> times{{{.tv_sec = time, .tv_nsec = 0}, {.tv_sec = time, .tv_nsec = 0}}};
  if (utimensat(AT_FDCWD, path.c_str(), times.data(), 0) != 0) {
    return core::fail_errno(errno, "io.write-failed", path.string());
  }
  return {};
}

bool lies_in(const fs::path& path, const fs::path& folder) {
  const fs::path relative = path.lexically_relative(folder);
  return !relative.empty() && *relative.begin() != "..";
}

}  // namespace

core::Result<std::string> partition_path(std::string_view text) {
  std::string out;
  for (std::size_t start = 0; start <= text.size();) {
    const std::size_t end = std::min(text.find_first_of("/\\", start), text.size());
    const std::string_view name = text.substr(start, end - start);
    start = end + 1;
    if (name.empty() || name == ".") continue;
    if (name == ".." || (name.size() == 2 && name[1] == ':')) {
      return fail("workspace.path-escapes").with("path", core::printable(text));
    }
    IMPRINT_CHECK(check_name(name));
    if (!out.empty()) out += '/';
    out += name;
  }
  return out;
}

core::Status FileTree::add(std::string_view path, const fs::path& source) {
  IMPRINT_TRY(const std::string checked, partition_path(path));
  std::error_code error;
  if (!fs::is_regular_file(source, error)) return fail("workspace.file-missing").with("path", source.string());
  const std::uint64_t size = fs::file_size(source, error);
  if (error) return core::fail_errno(error.value(), "io.read-failed", source.string());
  const std::string key = core::to_lower_ascii(checked);
  if (checked.empty() || files_.contains(key) || directories_.contains(key)) {
    return fail("workspace.destination-taken").with("path", checked);
  }
  const std::size_t slash = checked.rfind('/');
  std::string actual;
  if (slash != std::string::npos) {
    IMPRINT_TRY(actual, make_folders(std::string_view(checked).substr(0, slash)));
    actual += '/';
  }
  actual += std::string_view(checked).substr(slash == std::string::npos ? 0 : slash + 1);
  files_.emplace(key, TreeFile{.path = std::move(actual), .source = source, .size = size});
  return {};
}

core::Result<std::string> FileTree::make_folders(std::string_view folders) {
  std::string actual;
  while (!folders.empty()) {
    const std::size_t end = std::min(folders.find('/'), folders.size());
    if (!actual.empty()) actual += '/';
    actual += folders.substr(0, end);
    const std::string key = core::to_lower_ascii(actual);
    if (files_.contains(key)) {
      return fail("workspace.destination-taken", "a file is where a folder is needed").with("path", actual);
    }
    actual = directories_.try_emplace(key, actual).first->second;
    folders.remove_prefix(std::min(end + 1, folders.size()));
  }
  return actual;
}

core::Status FileTree::add_directory(std::string_view path) {
  IMPRINT_TRY(const std::string checked, partition_path(path));
  IMPRINT_TRY([[maybe_unused]] const std::string made, make_folders(checked));
  return {};
}

core::Status FileTree::add_folder(std::string_view path, const fs::path& folder) {
  std::error_code error;
  const fs::path root = fs::canonical(folder, error);
  if (error || !fs::is_directory(root, error)) return fail("workspace.file-missing").with("path", folder.string());
  for (auto it = fs::recursive_directory_iterator(root, error); !error && it != fs::recursive_directory_iterator();
       it.increment(error)) {
    const fs::path real = fs::canonical(it->path(), error);
    if (error) return fail("workspace.file-missing").with("path", it->path().string());
    if (!lies_in(real, root)) return fail("workspace.path-escapes").with("path", it->path().string());
    const std::string inner = std::string(path) + "/" + it->path().lexically_relative(root).generic_string();
    if (!fs::is_directory(real, error)) {
      IMPRINT_CHECK(add(inner, real));
      continue;
    }
    // The walk does not follow links, so that what is behind this one would be left out.
    if (it->is_symlink(error)) {
      return disk::fail("workspace.value-invalid", "a link to a folder; put the folder itself there")
          .with("path", it->path().string());
    }
    IMPRINT_CHECK(add_directory(inner));
  }
  if (error) return core::fail_errno(error.value(), "io.read-failed", root.string());
  return {};
}

std::vector<TreeFile> FileTree::files() const {
  std::vector<TreeFile> out;
  out.reserve(files_.size());
  for (const auto& [key, file] : files_) out.push_back(file);
  return out;
}

std::vector<std::string> FileTree::directories() const {
  std::vector<std::string> out;
  out.reserve(directories_.size());
  for (const auto& [key, path] : directories_) out.push_back(path);  // "a" sorts before "a/b"
  return out;
}

std::uint64_t FileTree::allocated_bytes(std::uint64_t cluster_size) const {
  std::uint64_t total = directories_.size() * cluster_size;
  for (const auto& [key, file] : files_) total += core::round_up(file.size, cluster_size);
  return total;
}

core::Status FileTree::write_to(const fs::path& folder, std::int64_t time) const {
  std::error_code error;
  for (const auto& [key, path] : directories_) {
    fs::create_directory(folder / path, error);
    if (error) return core::fail_errno(error.value(), "io.write-failed", (folder / path).string());
  }
  for (const auto& [key, file] : files_) {
    const fs::path target = folder / file.path;
    fs::copy_file(file.source, target, error);
    if (error) return core::fail_errno(error.value(), "io.write-failed", target.string());
    IMPRINT_CHECK(set_time(target, time));
  }
  // Folders last and from the deepest up: a new file in a folder changes the folder's time.
  for (auto it = directories_.rbegin(); it != directories_.rend(); ++it)
    IMPRINT_CHECK(set_time(folder / it->second, time));
  return set_time(folder, time);
}

}  // namespace imprint::imaging
