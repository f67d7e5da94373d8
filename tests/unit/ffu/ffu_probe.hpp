// SPDX-License-Identifier: GPL-3.0-or-later
// What the tests of this folder have in common: sources and sinks in memory that can be made to fail, and ways to ask a
// file for everything that the library can do with it.
#pragma once

#include <catch2/catch.hpp>

#include <algorithm>
#include <atomic>
#include <memory>
#include <mutex>
#include <string>

#include "flash/ffu/disk_map.hpp"
#include "flash/ffu/extract.hpp"
#include "flash/ffu/image.hpp"
#include "flash/ffu/unit_reader.hpp"
#include "flash/ffu/verify.hpp"
#include "flash/ffu/writer.hpp"
#include "tests/unit/fixtures/ffu_fixture.hpp"

namespace imprint::ffu::test {

template <class T>
T must(core::Result<T> result) {
  if (!result) FAIL(result.error().message());
  return std::move(*result);
}
inline void must(const core::Status& status) {
  if (!status) FAIL(status.error().message());
}
// The failure's id, or "good".
template <class T>
std::string id_of(const core::Result<T>& result) {
  return result ? "good" : std::string(result.error().id());
}
template <class T>
std::string offset_of(const core::Result<T>& result) {
  return result ? "" : std::string(result.error().context_value("offset"));
}

// Bytes that somebody else owns, and may change.
class ViewSource final : public core::BlockSource {
 public:
  explicit ViewSource(core::ByteView bytes) : bytes_(bytes) {}
  [[nodiscard]] std::uint64_t size() const override { return bytes_.size(); }
  [[nodiscard]] core::Status read_at(std::uint64_t offset, core::ByteSpan out) const override {
    IMPRINT_CHECK(check_range(offset, out.size()));
    std::ranges::copy(bytes_.subspan(offset, out.size()), out.begin());
    return {};
  }

 private:
  core::ByteView bytes_;
};

// Counts calls; the failing ones are those from number `fail_from` on, or those that touch a byte.
class FailingSource final : public core::BlockSource {
 public:
  explicit FailingSource(core::ByteView bytes) : inner_(bytes) {}
  [[nodiscard]] std::uint64_t size() const override { return inner_.size(); }
  [[nodiscard]] core::Status read_at(std::uint64_t offset, core::ByteSpan out) const override {
    const bool touched = bad_byte >= offset && bad_byte < offset + out.size();
    if (++calls >= fail_from || touched) return core::fail("io.read-failed").with("offset", offset);
    return inner_.read_at(offset, out);
  }
  int fail_from = INT32_MAX;  // from 1
  std::uint64_t bad_byte = UINT64_MAX;
  mutable std::atomic<int> calls{0};

 private:
  ViewSource inner_;
};

class MemorySink final : public core::BlockSink {
 public:
  explicit MemorySink(std::size_t size = 0) : bytes(size) {}
  [[nodiscard]] core::Status write_at(std::uint64_t offset, core::ByteView data) override {
    const std::scoped_lock lock(mutex_);
    if (++calls >= fail_from) return core::fail("io.write-failed").with("offset", offset);
    if (offset + data.size() > bytes.size()) bytes.resize(offset + data.size());
    std::ranges::copy(data, bytes.begin() + static_cast<std::ptrdiff_t>(offset));
    written.add({offset, data.size()});
    return {};
  }
  [[nodiscard]] core::Status flush() override { return {}; }
  core::ByteBuffer bytes;
  core::ExtentSet written;
  int calls = 0;
  int fail_from = INT32_MAX;  // from 1

 private:
  std::mutex mutex_;
};

// A file that was opened, with everything that reads it.
struct Opened {
  std::shared_ptr<const core::BlockSource> file;
  std::shared_ptr<const OpenedImage> opened;
  std::shared_ptr<const PlainSource> plain;
  [[nodiscard]] const Image& image() const { return opened->image; }
};

inline core::Result<Opened> open(core::ByteBuffer bytes) {
  Opened out;
  out.file = std::make_shared<core::MemorySource>(std::move(bytes));
  IMPRINT_TRY(auto opened, open_image(*out.file));
  out.opened = std::make_shared<const OpenedImage>(std::move(opened));
  out.plain = std::make_shared<const PlainSource>(out.opened, out.file);
  return out;
}

inline core::Status verify(const Opened& file, unsigned threads = 1) {
  return verify_units(*file.opened, *file.file, threads, {});
}
// open_image and verify_units: what finds a changed byte.
inline core::Status check_bytes(core::ByteView bytes, unsigned threads = 1) {
  const ViewSource file(bytes);
  IMPRINT_TRY(const auto opened, open_image(file));
  return verify_units(opened, file, threads, {});
}

inline core::Result<core::ByteBuffer> extract(const Opened& file, std::size_t store, std::uint64_t disk_bytes,
                                              unsigned threads = 1) {
  IMPRINT_TRY(const auto map, DiskMap::build(file.image().stores.at(store), disk_bytes));
  MemorySink out(disk_bytes);
  IMPRINT_CHECK(extract_disk(*file.opened, *file.file, map, out, threads, {}));
  return std::move(out.bytes);
}

inline core::Result<core::ByteBuffer> fixed_catalog(core::ByteView) { return core::ByteBuffer(300, 0xCC); }

// The same image again: a request whose stores take their bytes from the opened file.
inline WriteRequest request_for(const Opened& file) {
  WriteRequest request;
  request.form = file.image().form;
  request.chunk_size = file.image().chunk_size;
  request.image_header_size = file.image().image_header_size;
  request.targets = file.image().targets;
  request.manifest = file.image().manifest_text;
  request.make_catalog = fixed_catalog;
  for (const Store& store : file.image().stores) request.stores.push_back({store, file.plain.get()});
  return request;
}
inline core::Result<core::ByteBuffer> write(const WriteRequest& request) {
  MemorySink out;
  IMPRINT_TRY(const auto size, write_image(request, out));
  if (size != out.bytes.size()) return core::fail("io.write-failed", "the size that was answered is not the file's");
  return std::move(out.bytes);
}

}  // namespace imprint::ffu::test
