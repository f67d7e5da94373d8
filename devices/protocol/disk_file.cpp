// SPDX-License-Identifier: GPL-3.0-or-later
// Block devices, one system call each.
#include "devices/protocol/disk_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/fs.h>
#include <scsi/sg.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <array>
#include <cerrno>

namespace imprint::devices {
namespace {

std::unexpected<int> error() { return std::unexpected(errno); }

class BlockDevice final : public DiskFile {
 public:
  BlockDevice(int fd, bool is_direct) : fd_(fd), is_direct_(is_direct) {}
  ~BlockDevice() override { ::close(fd_); }
  BlockDevice(const BlockDevice&) = delete;
  BlockDevice& operator=(const BlockDevice&) = delete;

  [[nodiscard]] std::expected<Identity, int> identity() override {
    struct stat info{};
    if (::fstat(fd_, &info) != 0) return error();
    std::uint64_t sequence = 0;
    if (::ioctl(fd_, BLKGETDISKSEQ, &sequence) != 0) return error();
    return Identity{fmt::format("{}:{}", major(info.st_rdev), minor(info.st_rdev)), sequence};
  }

  [[nodiscard]] std::expected<std::size_t, int> read(std::uint64_t offset, core::ByteSpan out) override {
    if (!is_direct_) {
      ::posix_fadvise(fd_, static_cast<off_t>(offset), static_cast<off_t>(out.size()), POSIX_FADV_DONTNEED);
    }
    const auto count = ::pread(fd_, out.data(), out.size(), static_cast<off_t>(offset));
    if (count < 0) return error();
    return static_cast<std::size_t>(count);
  }

  [[nodiscard]] std::expected<std::size_t, int> write(std::uint64_t offset, core::ByteView data) override {
    const auto count = ::pwrite(fd_, data.data(), data.size(), static_cast<off_t>(offset));
    if (count < 0) return error();
    return static_cast<std::size_t>(count);
  }

  [[nodiscard]] std::expected<void, int> flush() override {
    if (::fsync(fd_) != 0) return error();
    return {};
  }

  [[nodiscard]] std::expected<void, int> eject(std::chrono::milliseconds limit) override {
    std::array<std::uint8_t, 6> command{0x1B, 0, 0, 0, 0x02, 0};  // SBC, START STOP UNIT: LOEJ without START
    std::array<std::uint8_t, 32> sense{};
    sg_io_hdr_t request{};
    request.interface_id = 'S';
    request.dxfer_direction = SG_DXFER_NONE;
    request.cmdp = command.data();
    request.cmd_len = command.size();
    request.sbp = sense.data();
    request.mx_sb_len = sense.size();
    request.timeout = static_cast<unsigned>(limit.count());
    if (::ioctl(fd_, SG_IO, &request) != 0) return error();
    if (request.status != 0 || request.host_status != 0) return std::unexpected(EOPNOTSUPP);
    return {};
  }

  [[nodiscard]] std::expected<void, int> erase(engine::EraseWay way, core::Extent extent) override {
    std::array<std::uint64_t, 2> range{extent.offset, extent.length};
    const auto request = [way]() -> unsigned long {
      switch (way) {
        case engine::EraseWay::discard:
          return BLKDISCARD;
        case engine::EraseWay::secure_discard:
          return BLKSECDISCARD;
        case engine::EraseWay::zero:
          break;
      }
      return BLKZEROOUT;
    }();
    if (::ioctl(fd_, request, range.data()) == 0) return {};
    return std::unexpected(errno == ENOTTY ? EOPNOTSUPP : errno);
  }

  [[nodiscard]] std::expected<std::unique_ptr<DiskRing>, int> ring(unsigned depth) override {
    if (!is_direct_) return std::unexpected(EINVAL);
    return open_ring(fd_, depth);
  }

  [[nodiscard]] bool is_direct() const override { return is_direct_; }

 private:
  const int fd_;
  const bool is_direct_;
};

}  // namespace

std::expected<std::unique_ptr<DiskFile>, int> open_block_device(const std::filesystem::path& node, DiskAccess access) {
  const int mode = access == DiskAccess::read ? O_RDONLY : O_RDWR;
  const int flags = mode | O_EXCL | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
  int fd = ::open(node.c_str(), flags | O_DIRECT);
  const bool is_direct = fd >= 0;
  if (fd < 0 && errno == EINVAL) fd = ::open(node.c_str(), flags);
  if (fd < 0) return error();
  struct stat info{};
  if (::fstat(fd, &info) != 0 || !S_ISBLK(info.st_mode)) {
    ::close(fd);
    return std::unexpected(ENOTBLK);
  }
  return std::make_unique<BlockDevice>(fd, is_direct);
}

}  // namespace imprint::devices
