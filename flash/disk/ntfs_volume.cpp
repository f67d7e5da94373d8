// SPDX-License-Identifier: GPL-3.0-or-later
// Names, files and the allocation bitmap of an NTFS volume.
#include "flash/disk/ntfs_volume.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <new>

#include "flash/core/text.hpp"
#include "flash/disk/errors.hpp"
#include "flash/disk/ntfs_device.hpp"
#include "flash/disk/path_parts.hpp"

namespace imprint::disk {
namespace {

constexpr std::size_t kBootBytes = 512;
constexpr std::size_t kSectorSizeOffset = 11;
constexpr std::size_t kSectorCountOffset = 40;
constexpr std::size_t kSerialOffset = 72;
constexpr std::uint64_t kBitmapChunk = 64 * 1024;
constexpr std::uint32_t kReparseTagWof = 0x80000017;
constexpr std::size_t kMaxNameUnits = 255;
constexpr std::size_t kMaxListed = 4'000'000;

std::string utf8_of(const ntfschar* name, std::size_t units) {
  return core::utf8_from_utf16le({reinterpret_cast<const std::uint8_t*>(name), units * 2});
}

bool is_directory(const ntfs_inode& inode) { return (inode.mrec->flags & MFT_RECORD_IS_DIRECTORY) != 0; }

FileEntry entry_of(std::string name, const ntfs_inode& inode) {
  const bool directory = is_directory(inode);
  return {std::move(name), directory,
          directory || inode.data_size < 0 ? 0 : static_cast<std::uint64_t>(inode.data_size)};
}

core::Failure not_found(std::string_view path) {
  return fail("volume.file-not-found").with("path", core::printable(path));
}

struct Located {
  NtfsInode inode;
  std::string name;
};

// The inode that a path leads to. The session's lock is held by the caller.
core::Result<Located> locate(NtfsSession& session, std::string_view path) {
  Located here{NtfsInode(ntfs_inode_open(session.volume(), FILE_root)), {}};
  if (!here.inode) return session.failure("the root folder cannot be read");
  for (const std::string_view part : path_parts(path)) {
    if (!is_directory(*here.inode)) return fail("volume.not-a-directory").with("path", core::printable(path));
    const auto units = core::utf16le_from_utf8(part);
    if (!units || units->size() / 2 > kMaxNameUnits) return not_found(path);
    std::array<ntfschar, kMaxNameUnits> name{};
    std::memcpy(name.data(), units->data(), units->size());
    errno = 0;
    const u64 reference = ntfs_inode_lookup_by_name(here.inode.get(), name.data(), static_cast<int>(units->size() / 2));
    if (reference == static_cast<u64>(-1)) {
      if (errno == ENOENT) return not_found(path);
      return session.failure("a folder cannot be searched").with("path", core::printable(path));
    }
    here.inode.reset(ntfs_inode_open(session.volume(), MREF(reference)));
    if (!here.inode) return session.failure("a file's record cannot be read").with("path", core::printable(path));
    here.name = part;
  }
  return here;
}

struct Listed {
  std::string name;
  u64 record;
};

// Called by the library for each name; exceptions must not unwind through its frames.
int add_listed(void* context, const ntfschar* name, const int units, const int name_type, const s64,
               const MFT_REF reference, const unsigned) noexcept {
  auto& out = *static_cast<std::vector<Listed>*>(context);
  if (name_type == FILE_NAME_DOS || MREF(reference) < FILE_first_user) return 0;
  try {
    if (out.size() >= kMaxListed) throw std::bad_alloc();
    out.push_back({utf8_of(name, static_cast<std::size_t>(units)), MREF(reference)});
    return 0;
  } catch (const std::bad_alloc&) {
    errno = ENOMEM;
    return -1;
  }
}

// A file's unnamed stream. Inode and attribute are opened, read and closed under the session's lock.
class NtfsFileSource final : public core::BlockSource {
 public:
  NtfsFileSource(std::shared_ptr<NtfsSession> session, NtfsInode inode, NtfsAttribute data)
      : session_(std::move(session)),
        size_(static_cast<std::uint64_t>(data->data_size)),
        inode_(std::move(inode)),
        data_(std::move(data)) {}
  NtfsFileSource(const NtfsFileSource&) = delete;
  NtfsFileSource& operator=(const NtfsFileSource&) = delete;
  ~NtfsFileSource() override {
    const auto lock = session_->guard();
    data_.reset();
    inode_.reset();
  }
  [[nodiscard]] std::uint64_t size() const override { return size_; }
  [[nodiscard]] core::Status read_at(std::uint64_t offset, core::ByteSpan out) const override {
    IMPRINT_CHECK(check_range(offset, out.size()));
    const auto lock = session_->guard();
    while (!out.empty()) {
      const s64 got = ntfs_attr_pread(data_.get(), static_cast<s64>(offset), static_cast<s64>(out.size()), out.data());
      if (got <= 0) return session_->failure("a file's content cannot be read").with("offset", offset);
      offset += static_cast<std::uint64_t>(got);
      out = out.subspan(static_cast<std::size_t>(got));
    }
    return {};
  }

 private:
  std::shared_ptr<NtfsSession> session_;
  std::uint64_t size_;
  NtfsInode inode_;
  NtfsAttribute data_;
};

core::Status check_readable(NtfsSession& session, ntfs_inode* inode, std::string_view path) {
  const auto unreadable = [&](std::string detail) {
    return fail("volume.file-unreadable", std::move(detail)).with("path", core::printable(path));
  };
  if ((inode->flags & FILE_ATTR_ENCRYPTED) != 0) return unreadable("it is encrypted");
  if ((inode->flags & FILE_ATTR_REPARSE_POINT) == 0) return {};
  s64 size = 0;
  const std::unique_ptr<void, decltype(&std::free)> reparse(
      ntfs_attr_readall(inode, AT_REPARSE_POINT, nullptr, 0, &size), &std::free);
  if (!reparse || size < 4)
    return session.failure("a reparse point cannot be read").with("path", core::printable(path));
  if (core::load_le<std::uint32_t>(static_cast<const std::uint8_t*>(reparse.get())) == kReparseTagWof) {
    return unreadable("it is compressed by the Windows overlay filter");
  }
  return {};
}

}  // namespace

bool looks_like_ntfs(core::ByteView sector) {
  return sector.size() >= kBootBytes && std::memcmp(sector.data() + 3, "NTFS    ", 8) == 0 && sector[510] == 0x55 &&
         sector[511] == 0xAA;
}

core::Result<std::shared_ptr<NtfsVolume>> NtfsVolume::open(std::shared_ptr<const core::BlockSource> partition) {
  if (partition->size() < kBootBytes) return fail("volume.unknown-file-system", "shorter than a boot sector");
  IMPRINT_TRY(const core::ByteBuffer sector, partition->read(0, kBootBytes));
  if (!looks_like_ntfs(sector)) return fail("volume.unknown-file-system", "not an NTFS boot sector");
  const std::uint32_t sector_size = core::load_le<std::uint16_t>(sector.data() + kSectorSizeOffset);
  const auto sectors = core::load_le<std::uint64_t>(sector.data() + kSectorCountOffset);
  if (sector_size < 256 || sector_size > 4096 || !std::has_single_bit(sector_size)) {
    return fail("volume.damaged", "bad sector size").with("offset", kSectorSizeOffset).with("actual", sector_size);
  }
  const std::uint64_t partition_size = partition->size();
  if (sectors == 0 || sectors > partition_size / sector_size) {
    return fail("volume.damaged", "the volume is larger than its partition")
        .with("offset", kSectorCountOffset)
        .with("expected", partition_size / sector_size)
        .with("actual", sectors);
  }
  IMPRINT_TRY(auto session, NtfsSession::mount(std::move(partition)));
  std::shared_ptr<NtfsVolume> volume(new NtfsVolume(std::move(session)));
  volume->partition_size_ = partition_size;
  volume->info_.serial = core::load_le<std::uint64_t>(sector.data() + kSerialOffset);
  volume->info_.sector_size = sector_size;
  IMPRINT_CHECK(volume->read_info(sectors));
  return volume;
}

core::Status NtfsVolume::read_info(std::uint64_t stated_sectors) {
  info_.kind = FileSystem::ntfs;
  info_.size = stated_sectors * info_.sector_size;
  std::uint64_t clusters_bytes = 0;
  {
    const auto lock = session_->guard();
    ntfs_volume* volume = session_->volume();
    info_.cluster_size = volume->cluster_size;
    if (volume->nr_clusters <= 0 ||
        !core::checked_mul(static_cast<std::uint64_t>(volume->nr_clusters), info_.cluster_size, clusters_bytes) ||
        clusters_bytes > partition_size_) {
      return fail("volume.damaged", "its clusters do not fit the partition").with("clusters", volume->nr_clusters);
    }
    s64 size = 0;
    const std::unique_ptr<void, decltype(&std::free)> name(
        ntfs_attr_readall(volume->vol_ni, AT_VOLUME_NAME, nullptr, 0, &size), &std::free);
    if (name && size > 0) {
      info_.label =
          utf8_of(static_cast<const ntfschar*>(name.get()), static_cast<std::size_t>(std::min<s64>(size, 256)) / 2);
    }
  }
  IMPRINT_TRY(const core::ExtentSet used, marked_clusters());
  info_.free = clusters_bytes - used.total();
  return {};
}

core::Result<core::ExtentSet> NtfsVolume::marked_clusters() {
  const auto lock = session_->guard();
  ntfs_volume* volume = session_->volume();
  const auto clusters = static_cast<std::uint64_t>(volume->nr_clusters);
  const std::uint64_t bytes = (clusters + 7) / 8;
  if (volume->lcnbmp_na->data_size < 0 || static_cast<std::uint64_t>(volume->lcnbmp_na->data_size) < bytes) {
    return fail("volume.damaged", "$Bitmap is shorter than the volume").with("actual", volume->lcnbmp_na->data_size);
  }
  core::ExtentSet out;
  const std::uint64_t cluster_size = volume->cluster_size;
  constexpr std::uint64_t kNone = UINT64_MAX;
  std::uint64_t start = kNone;  // first cluster of the run that is open
  core::ByteBuffer chunk(kBitmapChunk);
  for (std::uint64_t at = 0; at < bytes; at += kBitmapChunk) {
    const std::uint64_t count = std::min(kBitmapChunk, bytes - at);
    if (ntfs_attr_pread(volume->lcnbmp_na, static_cast<s64>(at), static_cast<s64>(count), chunk.data()) !=
        static_cast<s64>(count)) {
      return session_->failure("$Bitmap cannot be read").with("offset", at);
    }
    const std::uint64_t end = std::min(clusters, (at + count) * 8);
    for (std::uint64_t cluster = at * 8; cluster < end; ++cluster) {
      const std::uint64_t bit = cluster - at * 8;
      const bool used = ((chunk[bit / 8] >> (bit % 8)) & 1U) != 0;
      if (used && start == kNone) start = cluster;
      if (!used && start != kNone) {
        out.add({start * cluster_size, (cluster - start) * cluster_size});
        start = kNone;
      }
    }
  }
  if (start != kNone) out.add({start * cluster_size, (clusters - start) * cluster_size});
  return out;
}

bool NtfsVolume::is_dirty() {
  const auto lock = session_->guard();
  return (session_->volume()->flags & VOLUME_IS_DIRTY) != 0;
}

core::Result<core::ExtentSet> NtfsVolume::allocated() {
  IMPRINT_TRY(core::ExtentSet out, marked_clusters());
  // The journal of a dirty volume may hold allocations that $Bitmap does not show yet.
  if (is_dirty()) out.add({0, info_.size});
  // The boot sector's copy is outside of every cluster: in the sector behind the stated size, which is the partition's
  // last one unless the volume is smaller than its partition. Windows looks in the last one.
  const std::uint64_t sector = info_.sector_size;
  if (info_.size <= partition_size_ - sector) out.add({info_.size, sector});
  out.add({partition_size_ - sector, sector});
  return out;
}

core::Result<std::vector<FileEntry>> NtfsVolume::list(std::string_view path) {
  const auto lock = session_->guard();
  IMPRINT_TRY(const Located directory, locate(*session_, path));
  if (!is_directory(*directory.inode)) return fail("volume.not-a-directory").with("path", core::printable(path));
  std::vector<Listed> names;
  s64 position = 0;
  if (ntfs_readdir(directory.inode.get(), &position, &names, add_listed) != 0) {
    return session_->failure("a folder cannot be read").with("path", core::printable(path));
  }
  std::vector<FileEntry> out;
  out.reserve(names.size());
  for (Listed& listed : names) {
    if (listed.name == "." || listed.name == "..") continue;
    const NtfsInode inode(ntfs_inode_open(session_->volume(), listed.record));
    if (!inode) {
      return session_->failure("a file's record cannot be read")
          .with("path", core::printable(path))
          .with("name", core::printable(listed.name));
    }
    out.push_back(entry_of(std::move(listed.name), *inode));
  }
  return out;
}

core::Result<FileEntry> NtfsVolume::find(std::string_view path) {
  const auto lock = session_->guard();
  IMPRINT_TRY(Located found, locate(*session_, path));
  return entry_of(std::move(found.name), *found.inode);
}

core::Result<std::shared_ptr<const core::BlockSource>> NtfsVolume::open_file(std::string_view path) {
  const auto lock = session_->guard();
  IMPRINT_TRY(Located found, locate(*session_, path));
  if (is_directory(*found.inode)) return fail("volume.not-a-directory", "a folder").with("path", core::printable(path));
  IMPRINT_CHECK(check_readable(*session_, found.inode.get(), path));
  NtfsAttribute stream(ntfs_attr_open(found.inode.get(), AT_DATA, AT_UNNAMED, 0));
  if (!stream || stream->data_size < 0) {
    return session_->failure("a file has no content stream").with("path", core::printable(path));
  }
  return std::shared_ptr<const core::BlockSource>(
      std::make_shared<NtfsFileSource>(session_, std::move(found.inode), std::move(stream)));
}

}  // namespace imprint::disk
