// SPDX-License-Identifier: GPL-3.0-or-later
// FFU files from any bytes: parsed as a file and as a stream, verified, read as a disk, extracted and converted. What
// verifies has to read the same in every way.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>

#include "ffu_repair.hpp"
#include "flash/ffu/extract.hpp"
#include "flash/ffu/image.hpp"
#include "flash/ffu/verify.hpp"
#include "flash/ffu/write_order.hpp"
#include "flash/ffu/writer.hpp"

namespace {

using namespace imprint;

constexpr std::uint64_t kDiskBytes = 1U << 20;
constexpr std::uint64_t kMostPlain = 4U << 20;

void require(bool good) {
  if (!good) std::abort();
}

class MemorySink final : public core::BlockSink {
 public:
  core::Status write_at(std::uint64_t offset, core::ByteView data) override {
    require(offset + data.size() <= (16U << 20));
    bytes.resize(std::max<std::size_t>(bytes.size(), offset + data.size()));
    std::ranges::copy(data, bytes.begin() + static_cast<std::ptrdiff_t>(offset));
    return {};
  }
  core::Status flush() override { return {}; }
  core::ByteBuffer bytes;
};

struct Opened {
  std::shared_ptr<const core::BlockSource> file;
  std::shared_ptr<const ffu::OpenedImage> opened;
  std::shared_ptr<const ffu::PlainSource> plain;
};

core::Result<Opened> open(core::ByteView bytes) {
  Opened out;
  out.file = std::make_shared<core::MemorySource>(core::ByteBuffer(bytes.begin(), bytes.end()));
  IMPRINT_TRY(auto opened, ffu::open_image(*out.file));
  out.opened = std::make_shared<const ffu::OpenedImage>(std::move(opened));
  out.plain = std::make_shared<const ffu::PlainSource>(out.opened, out.file);
  return out;
}

// The disk of a store, once as a source and once extracted: nothing where the file is not sound.
core::Result<core::ByteBuffer> read_disk(const Opened& file, const ffu::DiskMap& map, bool sound) {
  const ffu::DescribedDisk disk(map, file.plain);
  auto read = disk.read(0, disk.size());
  MemorySink out;
  out.bytes.resize(kDiskBytes);
  const auto extracted = ffu::extract_disk(*file.opened, *file.file, map, out, 1, {});
  if (sound) require(read.has_value() && extracted.has_value());
  if (read && extracted) require(*read == out.bytes);
  return read;
}

// The same store in a compressed image of another order describes the same disk.
void convert(const Opened& file, std::size_t index, const core::ByteBuffer& disk) {
  ffu::WriteRequest request;
  request.form = ffu::Form::v1_compressed;
  request.compression = ffu::Compression::xpress;
  request.chunk_size = 4096;
  request.manifest = file.opened->image.manifest_text;
  request.make_catalog = [](core::ByteView) -> core::Result<core::ByteBuffer> { return core::ByteBuffer(64); };
  const auto sorted = ffu::in_disk_order(file.opened->image.stores[index]);
  require(sorted.has_value());
  auto single = ffu::in_single_blocks(*sorted);
  require(single.has_value());
  request.stores.push_back({std::move(*single), file.plain.get()});
  request.stores[0].store.device_path.clear();
  MemorySink out;
  const auto size = ffu::write_image(request, out);
  if (!size) {
    // A list of platform ids may fill its field to the last byte, which the writer does not do, and a payload may look
    // right by two rules of padding.
    require(size.error().id() == "ffu.platform-ids" || size.error().id() == "ffu.padding-ambiguous");
    return;
  }
  const auto written = open(out.bytes);
  require(written.has_value() && ffu::verify_units(*written->opened, *written->file, 1, {}).has_value());
  const auto map = ffu::DiskMap::build(written->opened->image.stores[0], kDiskBytes);
  require(map.has_value() && read_disk(*written, *map, true) == disk);
}

void use(const Opened& file) {
  const ffu::Image& image = file.opened->image;
  static_cast<void>(ffu::check_locations(image));
  if (image.plain_size > kMostPlain) return;
  const bool sound = ffu::verify_units(*file.opened, *file.file, 1, {}).has_value();
  const auto plain = file.plain->read(0, image.plain_size);
  require(plain.has_value() == sound);
  for (std::size_t i = 0; i < image.stores.size(); ++i) {
    const auto map = ffu::DiskMap::build(image.stores[i], kDiskBytes);
    if (!map) continue;
    require(map->described_bytes() <= kDiskBytes);
    const auto disk = read_disk(file, *map, sound);
    if (sound && i == 0) convert(file, i, *disk);
  }
  MemorySink moved;
  if (ffu::replace_catalog(*file.opened, *file.file, core::ByteBuffer(5000), moved)) {
    const auto again = open(moved.bytes);
    require(again.has_value() && again->opened->image.hash_table == image.hash_table);
  }
}

}  // namespace

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t max_size);

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t max_size,
                                               unsigned int seed) {
  size = LLVMFuzzerMutate(data, size, max_size);
  return seed % 4 == 0 ? size : repair_ffu({data, max_size}, size);
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const core::ByteView bytes(data, size);
  const auto wanted = ffu::header_bytes(bytes);
  if (wanted) require(*wanted <= ffu::kMaxHeaderBytes + (2U << 20));
  for (const auto& image : {ffu::parse_image(bytes, size), ffu::parse_image(bytes, std::nullopt)}) {
    if (image) require(image->payload_offset <= size);
  }
  if (const auto file = open(bytes)) use(*file);
  return 0;
}
