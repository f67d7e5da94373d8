// SPDX-License-Identifier: GPL-3.0-or-later
// A file with an access list shows the list's mask where its mode has the group's bits: given as a mode alone, they
// would let the group do what only somebody on the list may. Source of the attribute's form: Linux,
// uapi/linux/posix_acl.h and posix_acl_xattr.h.
#include "station/cli/file_access.hpp"

#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <utility>

#include "flash/core/errors.hpp"

namespace imprint::station::cli {
namespace {

constexpr const char* kListName = "system.posix_acl_access";
constexpr std::size_t kLongestList = 65536;  // what Linux takes as an extended attribute
// Without set-id bits: they are for programs, and for nobody else.
constexpr mode_t kAccess = S_IRWXU | S_IRWXG | S_IRWXO;

struct Entry {
  std::uint16_t tag = 0;
  std::uint16_t rights = 0;  // read 4, write 2, execute 1
  std::uint32_t id = 0;
};

// Nothing for another version, or bytes that are no list.
std::optional<std::vector<Entry>> parse_list(core::ByteView bytes) {
  core::ByteReader in(bytes);
  const auto version = in.le<std::uint32_t>();
  if (!version || *version != POSIX_ACL_XATTR_VERSION) return std::nullopt;
  std::vector<Entry> out;
  while (in.remaining() != 0) {
    const auto tag = in.le<std::uint16_t>();
    const auto rights = in.le<std::uint16_t>();
    const auto id = in.le<std::uint32_t>();
    if (!tag || !rights || !id || *rights > S_IRWXO) return std::nullopt;
    out.push_back({*tag, *rights, *id});
  }
  return out;
}

core::ByteBuffer write_list(const std::vector<Entry>& entries) {
  core::ByteWriter out;
  out.le(std::uint32_t{POSIX_ACL_XATTR_VERSION});
  for (const Entry& entry : entries) {
    out.le(entry.tag);
    out.le(entry.rights);
    out.le(entry.id);
  }
  return out.release();
}

mode_t rights_of(const std::vector<Entry>& entries, std::uint16_t tag, mode_t otherwise) {
  const auto found = std::ranges::find(entries, tag, &Entry::tag);
  return found == entries.end() ? otherwise : mode_t{found->rights};
}

// The mode that does without the list. Whom the list names becomes one of the group or of all others, so that those may
// do no more than each of them did.
mode_t mode_without(const std::optional<std::vector<Entry>>& list, mode_t mode) {
  if (!list) return mode & S_IRWXU;
  const mode_t mask = rights_of(*list, ACL_MASK, S_IRWXO);
  mode_t group = rights_of(*list, ACL_GROUP_OBJ, 0) & mask;
  mode_t others = rights_of(*list, ACL_OTHER, 0);
  for (const Entry& entry : *list) {
    if (entry.tag != ACL_USER && entry.tag != ACL_GROUP) continue;
    group &= entry.rights & mask;
    others &= entry.rights & mask;
  }
  return (mode & S_IRWXU) | (group << 3) | others;
}

// Others' files, file systems without owners or lists, and ids that this namespace does not have.
bool is_not_for_this_user(int error) { return error == EPERM || error == EINVAL || error == ENOTSUP; }

core::Failure write_failure(const std::string& name) { return core::fail_errno(errno, "io.write-failed", name); }

}  // namespace

core::Result<std::optional<FileAccess>> FileAccess::of(const std::filesystem::path& path) {
  struct stat info{};
  if (::stat(path.c_str(), &info) != 0) {
    if (errno == ENOENT) return std::optional<FileAccess>{};
    return core::fail_errno(errno, "io.open-failed", path.native());
  }
  core::ByteBuffer list(kLongestList);
  const auto size = ::getxattr(path.c_str(), kListName, list.data(), list.size());
  if (size < 0) {
    if (errno == ENODATA || errno == ENOTSUP) return std::optional(FileAccess(info, std::nullopt));
    return core::fail_errno(errno, "io.open-failed", path.native());
  }
  list.resize(static_cast<std::size_t>(size));
  return std::optional(FileAccess(info, std::move(list)));
}

core::Status FileAccess::give_rights(int fd, const std::string& name, bool group_is_kept,
                                     std::vector<std::string>& not_kept) const {
  mode_t mode = mode_ & kAccess;
  if (list_) {
    auto entries = parse_list(*list_);
    if (entries) {
      const mode_t others = rights_of(*entries, ACL_OTHER, 0);
      for (Entry& entry : *entries) {
        if (!group_is_kept && entry.tag == ACL_GROUP_OBJ) entry.rights &= static_cast<std::uint16_t>(others);
      }
      const core::ByteBuffer list = write_list(*entries);
      // Sets the mode, too.
      if (::fsetxattr(fd, kListName, list.data(), list.size(), 0) == 0) return {};
      if (!is_not_for_this_user(errno)) return write_failure(name);
    }
    mode = mode_without(entries, mode);
    not_kept.emplace_back("the file's access list could not be kept: nobody may do more by the mode that it has now");
  }
  // A folder may give its files a list, which the mode would open to those whom it names.
  if (::fremovexattr(fd, kListName) != 0 && errno != ENODATA && errno != ENOTSUP) return write_failure(name);
  if (!group_is_kept) mode &= ~mode_t{S_IRWXG} | ((mode & S_IRWXO) << 3);
  if (::fchmod(fd, mode) != 0) {
    if (!is_not_for_this_user(errno)) return write_failure(name);
    not_kept.emplace_back("the file's mode could not be kept: its file system has none");
  }
  return {};
}

core::Result<std::vector<std::string>> FileAccess::give_to(int fd, const std::string& name) const {
  struct stat now{};
  if (::fstat(fd, &now) != 0) return write_failure(name);
  std::vector<std::string> not_kept;
  // The group first: once the owner is another one, this user may not change it any more.
  const bool group_is_kept = now.st_gid == group_ || ::fchown(fd, static_cast<uid_t>(-1), group_) == 0;
  if (!group_is_kept) {
    if (!is_not_for_this_user(errno)) return write_failure(name);
    not_kept.emplace_back(
        "the file's group could not be kept: it is this user's group now, which may do no more than everybody");
  }
  IMPRINT_CHECK(give_rights(fd, name, group_is_kept, not_kept));
  if (now.st_uid != owner_ && ::fchown(fd, owner_, static_cast<gid_t>(-1)) != 0) {
    if (!is_not_for_this_user(errno)) return write_failure(name);
    not_kept.emplace_back(
        "the file's owner could not be kept: only root may give a file away, so it is this user's now");
  }
  return not_kept;
}

}  // namespace imprint::station::cli
