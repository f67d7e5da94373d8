// SPDX-License-Identifier: GPL-3.0-or-later
// Files, slices, memory and compositions as block sources.
#include "flash/core/block_io.hpp"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace imprint::core {

Result<std::optional<Extent>> BlockSource::next_data(std::uint64_t from) const {
  if (from >= size()) return std::optional<Extent>{};
  return std::optional<Extent>{Extent{from, size() - from}};
}

Status BlockSource::check_range(std::uint64_t offset, std::uint64_t length) const {
  std::uint64_t end = 0;
  if (!checked_add(offset, length, end) || end > size()) {
    return fail("io.out-of-range").with("offset", offset).with("length", length).with("size", size());
  }
  return {};
}

Result<ByteBuffer> BlockSource::read(std::uint64_t offset, std::uint64_t length) const {
  IMPRINT_CHECK(check_range(offset, length));
  ByteBuffer out(length);
  IMPRINT_CHECK(read_at(offset, out));
  return out;
}

Result<std::unique_ptr<FileSource>> FileSource::open(const std::filesystem::path& path) {
  // Without O_NONBLOCK, opening a FIFO would wait for its writer for ever. Reads of files and disks do not look at it.
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
  if (fd < 0) return fail_errno(errno, "io.open-failed", path.native());
  struct stat info{};
  std::uint64_t size = 0;
  if (fstat(fd, &info) == 0 && S_ISREG(info.st_mode)) {
    size = static_cast<std::uint64_t>(info.st_size);
  } else if (!S_ISBLK(info.st_mode) || ioctl(fd, BLKGETSIZE64, &size) != 0) {
    ::close(fd);
    return fail("io.open-failed", "not a file or a disk").with("file", path.native());
  }
  return std::unique_ptr<FileSource>(new FileSource(fd, size, path.native()));
}

FileSource::~FileSource() { ::close(fd_); }

Status FileSource::read_at(std::uint64_t offset, ByteSpan out) const {
  IMPRINT_CHECK(check_range(offset, out.size()));
  std::size_t done = 0;
  while (done < out.size()) {
    const auto got = pread(fd_, out.data() + done, out.size() - done, static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno(errno, "io.read-failed", name_);
    if (got == 0)
      return fail("io.read-failed", "the file became shorter").with("file", name_).with("offset", offset + done);
    done += static_cast<std::size_t>(got);
  }
  return {};
}

Result<std::optional<Extent>> FileSource::next_data(std::uint64_t from) const {
  if (from >= size_) return std::optional<Extent>{};
  const off_t start = lseek(fd_, static_cast<off_t>(from), SEEK_DATA);
  if (start < 0) {
    if (errno == ENXIO) return std::optional<Extent>{};
    return BlockSource::next_data(from);
  }
  // A file that grew since it was opened can have its next data behind the size that this source promised.
  if (static_cast<std::uint64_t>(start) >= size_) return std::optional<Extent>{};
  const off_t end = lseek(fd_, start, SEEK_HOLE);
  if (end < 0) return BlockSource::next_data(from);
  const std::uint64_t last = std::min(static_cast<std::uint64_t>(end), size_);
  return std::optional<Extent>{Extent{static_cast<std::uint64_t>(start), last - static_cast<std::uint64_t>(start)}};
}

Result<std::unique_ptr<FileSink>> FileSink::create(const std::filesystem::path& path, std::uint64_t size) {
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (fd < 0) return fail_errno(errno, "io.open-failed", path.native());
  std::unique_ptr<FileSink> sink(new FileSink(fd, path.native()));
  if (ftruncate(fd, static_cast<off_t>(size)) != 0) return fail_errno(errno, "io.write-failed", path.native());
  return sink;
}

FileSink::~FileSink() { ::close(fd_); }

Status FileSink::write_at(std::uint64_t offset, ByteView data) {
  std::size_t done = 0;
  while (done < data.size()) {
    const auto put = pwrite(fd_, data.data() + done, data.size() - done, static_cast<off_t>(offset + done));
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return fail_errno(errno, "io.write-failed", name_);
    done += static_cast<std::size_t>(put);
  }
  return {};
}

Status FileSink::flush() {
  if (fsync(fd_) != 0) return fail_errno(errno, "io.write-failed", name_);
  return {};
}

Status MemorySource::read_at(std::uint64_t offset, ByteSpan out) const {
  IMPRINT_CHECK(check_range(offset, out.size()));
  std::copy_n(bytes_.begin() + static_cast<std::ptrdiff_t>(offset), out.size(), out.begin());
  return {};
}

Result<std::shared_ptr<SliceSource>> SliceSource::make(std::shared_ptr<const BlockSource> parent, std::uint64_t offset,
                                                       std::uint64_t length) {
  std::uint64_t end = 0;
  if (!checked_add(offset, length, end) || end > parent->size()) {
    return fail("io.out-of-range").with("offset", offset).with("length", length).with("size", parent->size());
  }
  return std::shared_ptr<SliceSource>(new SliceSource(std::move(parent), offset, length));
}

Status SliceSource::read_at(std::uint64_t offset, ByteSpan out) const {
  IMPRINT_CHECK(check_range(offset, out.size()));
  return parent_->read_at(offset_ + offset, out);
}

Result<std::optional<Extent>> SliceSource::next_data(std::uint64_t from) const {
  if (from >= length_) return std::optional<Extent>{};
  IMPRINT_TRY(const auto found, parent_->next_data(offset_ + from));
  if (!found || found->offset >= offset_ + length_) return std::optional<Extent>{};
  const std::uint64_t end = std::min(found->end(), offset_ + length_);
  return std::optional<Extent>{Extent{found->offset - offset_, end - found->offset}};
}

Status CompositeSource::add(std::uint64_t offset, std::shared_ptr<const BlockSource> piece) {
  const std::uint64_t length = piece->size();
  IMPRINT_CHECK(check_range(offset, length));
  if (length == 0) return {};
  const auto next = std::ranges::upper_bound(pieces_, offset, {}, &Piece::offset);
  const bool hits_next = next != pieces_.end() && offset + length > next->offset;
  const bool hits_previous =
      next != pieces_.begin() && std::prev(next)->offset + std::prev(next)->source->size() > offset;
  if (hits_next || hits_previous) {
    return fail("io.out-of-range", "the piece overlaps another").with("offset", offset).with("length", length);
  }
  pieces_.insert(next, Piece{offset, std::move(piece)});
  return {};
}

Status CompositeSource::read_at(std::uint64_t offset, ByteSpan out) const {
  IMPRINT_CHECK(check_range(offset, out.size()));
  std::ranges::fill(out, std::uint8_t{0});
  const std::uint64_t end = offset + out.size();
  for (const Piece& piece : pieces_) {
    const std::uint64_t first = std::max(offset, piece.offset);
    const std::uint64_t last = std::min(end, piece.offset + piece.source->size());
    if (first >= last) continue;
    IMPRINT_CHECK(piece.source->read_at(first - piece.offset, out.subspan(first - offset, last - first)));
  }
  return {};
}

Result<std::optional<Extent>> CompositeSource::next_data(std::uint64_t from) const {
  for (const Piece& piece : pieces_) {
    if (piece.offset + piece.source->size() <= from) continue;
    const std::uint64_t inner = from > piece.offset ? from - piece.offset : 0;
    IMPRINT_TRY(const auto found, piece.source->next_data(inner));
    if (found) return std::optional<Extent>{Extent{piece.offset + found->offset, found->length}};
  }
  return std::optional<Extent>{};
}

}  // namespace imprint::core
