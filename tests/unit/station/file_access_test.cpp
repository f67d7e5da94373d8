// SPDX-License-Identifier: GPL-3.0-or-later
// Who may do what with a file that takes the place of another one.
#include "station/cli/file_access.hpp"

#include <fcntl.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <cerrno>
#include <fstream>

#include "station/cli/replacing_file.hpp"
#include "tests/unit/fixtures/scratch_folder.hpp"

using namespace imprint;
using namespace imprint::station::cli;
using imprint::fixture::ScratchFolder;

namespace {

namespace fs = std::filesystem;

constexpr const char* kAccessList = "system.posix_acl_access";
constexpr std::uint32_t kSomebody = 12345;

struct Right {
  std::uint16_t tag;
  std::uint16_t rights;
  std::uint32_t id = 0xFFFFFFFF;
};

core::ByteBuffer list_of(std::initializer_list<Right> rights) {
  core::ByteWriter out;
  out.le(std::uint32_t{POSIX_ACL_XATTR_VERSION});
  for (const Right& right : rights) {
    out.le(right.tag);
    out.le(right.rights);
    out.le(right.id);
  }
  return out.release();
}

// The owner may write, somebody may read, and the group nothing.
core::ByteBuffer somebody_reads() {
  return list_of({{ACL_USER_OBJ, 6}, {ACL_USER, 4, kSomebody}, {ACL_GROUP_OBJ, 0}, {ACL_MASK, 4}, {ACL_OTHER, 4}});
}

fs::path make_file(const fs::path& path, mode_t mode = 0640) {
  std::ofstream(path) << "x";
  REQUIRE(::chmod(path.c_str(), mode) == 0);
  return path;
}

// Whether the file system takes lists.
bool give_list(const fs::path& path, const core::ByteBuffer& list, const char* name = kAccessList) {
  if (::setxattr(path.c_str(), name, list.data(), list.size(), 0) == 0) return true;
  REQUIRE(errno == ENOTSUP);
  return false;
}

core::ByteBuffer list_at(const fs::path& path) {
  core::ByteBuffer out(4096);
  const auto size = ::getxattr(path.c_str(), kAccessList, out.data(), out.size());
  out.resize(size < 0 ? 0 : static_cast<std::size_t>(size));
  return out;
}

mode_t mode_at(const fs::path& path) {
  struct stat info{};
  REQUIRE(::stat(path.c_str(), &info) == 0);
  return info.st_mode & 07777U;
}

struct Open {
  explicit Open(int descriptor) : fd(descriptor) { REQUIRE(fd >= 0); }
  ~Open() { ::close(fd); }
  Open(const Open&) = delete;
  Open& operator=(const Open&) = delete;
  [[nodiscard]] mode_t mode() const {
    struct stat info{};
    REQUIRE(::fstat(fd, &info) == 0);
    return info.st_mode & 07777U;
  }
  int fd;
};

FileAccess access_of(const fs::path& path) {
  auto out = FileAccess::of(path);
  REQUIRE(out);
  REQUIRE(*out);
  return **out;
}

}  // namespace

TEST_CASE("a file without a name has no access to give, and one whose folder is a file is an error") {
  const ScratchFolder folder;
  CHECK_FALSE(*FileAccess::of(folder / "none"));
  make_file(folder / "file");
  CHECK_FALSE(FileAccess::of(folder.path() / "file" / "none"));
}

TEST_CASE("an access list goes along, and the mode does not open the file to the group in its place") {
  const ScratchFolder folder;
  const auto old = make_file(folder / "old");
  if (!give_list(old, somebody_reads())) return;
  REQUIRE(mode_at(old) == 0644);  // what a group would be given by the mode alone
  const auto made = make_file(folder / "made", 0600);
  const Open out(::open(made.c_str(), O_WRONLY | O_CLOEXEC));
  const auto not_kept = access_of(old).give_to(out.fd, "made");
  REQUIRE(not_kept);
  CHECK(not_kept->empty());
  CHECK(list_at(made) == list_at(old));
  CHECK(mode_at(made) == 0644);
}

TEST_CASE("where a list cannot be kept, the mode lets nobody do more than the list did, and that is said") {
  const ScratchFolder folder;
  const auto old = make_file(folder / "old");
  struct Case {
    core::ByteBuffer list;
    mode_t mode;
  };
  for (const auto& [list, mode] : std::initializer_list<Case>{
           {somebody_reads(), 0604},
           {list_of({{ACL_USER_OBJ, 7}, {ACL_USER, 7, kSomebody}, {ACL_GROUP_OBJ, 6}, {ACL_MASK, 5}, {ACL_OTHER, 0}}),
            0740},
           // Who is on the list to be kept out would be one of all the others.
           {list_of({{ACL_USER_OBJ, 6}, {ACL_USER, 0, kSomebody}, {ACL_GROUP_OBJ, 4}, {ACL_MASK, 7}, {ACL_OTHER, 4}}),
            0600},
           {list_of({{ACL_USER_OBJ, 6}, {ACL_GROUP_OBJ, 4}, {ACL_GROUP, 4, kSomebody}, {ACL_MASK, 6}, {ACL_OTHER, 6}}),
            0644}}) {
    if (!give_list(old, list)) return;
    // A pipe has owner, group and mode, and no lists.
    std::array<int, 2> ends{};
    REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
    const Open in(ends[0]);
    const Open out(ends[1]);
    REQUIRE(::fsetxattr(out.fd, kAccessList, list.data(), list.size(), 0) != 0);
    const auto not_kept = access_of(old).give_to(out.fd, "out");
    REQUIRE(not_kept);
    REQUIRE(not_kept->size() == 1);
    CHECK(not_kept->front().find("access list could not be kept") != std::string::npos);
    CHECK(out.mode() == mode);
  }
}

TEST_CASE("a list that the folder gives to its files is not opened by the mode of the file that is replaced") {
  const ScratchFolder folder;
  const auto old = make_file(folder / "old", 0640);
  if (!give_list(folder.path(), somebody_reads(), "system.posix_acl_default")) return;
  const auto made = folder / "made";
  const Open out(::open(made.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  REQUIRE_FALSE(list_at(made).empty());
  REQUIRE(access_of(old).give_to(out.fd, "made"));
  CHECK(list_at(made).empty());
  CHECK(out.mode() == 0640);
}

TEST_CASE("set-id bits are not given") {
  const ScratchFolder folder;
  const auto old = make_file(folder / "old", 06755);
  const auto made = make_file(folder / "made", 0600);
  const Open out(::open(made.c_str(), O_WRONLY | O_CLOEXEC));
  REQUIRE(access_of(old).give_to(out.fd, "made"));
  CHECK(mode_at(made) == 0755);
}

TEST_CASE("what replaces a file can be read by nobody else while it is written, and has that one's access afterwards") {
  const ScratchFolder folder;
  const auto name = make_file(folder / "file", 0664);
  {
    const auto file = ReplacingFile::make(name).value();
    const auto sink = file->open(4096).value();
    fs::path beside;
    for (const auto& entry : fs::directory_iterator(folder.path())) {
      if (entry.path() != name) beside = entry.path();
    }
    CHECK(mode_at(beside) == 0600);
    const auto again = file->open(8192).value();  // as after a first try
    CHECK(mode_at(beside) == 0600);
    CHECK(file->commit().value().empty());
  }
  CHECK(mode_at(name) == 0664);
  CHECK(fs::file_size(name) == 8192);
  CHECK(folder.entries() == 1);
}
