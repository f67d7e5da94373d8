// SPDX-License-Identifier: GPL-3.0-or-later
// Recordings that are made by hand, and transports that say what a test wants.
#pragma once

#include <catch2/catch.hpp>
#include <memory>
#include <string>

#include "devices/capture/pcapng.hpp"
#include "devices/capture/pcapng_writer.hpp"
#include "devices/capture/recorder.hpp"
#include "devices/capture/recording.hpp"
#include "devices/protocol/errors.hpp"
#include "flash/core/block_io.hpp"
#include "tests/unit/fixtures/scratch_folder.hpp"

namespace imprint::capture_fixture {

inline const devices::PortPath kPort{"1-2.4"};

inline devices::UsbIdentity simple_io_identity() {
  devices::UsbIdentity identity;
  identity.vendor_id = 0x045E;
  identity.product_id = 0x062A;
  identity.serial = "Serial One";
  return identity;
}

inline core::Deadline soon() { return core::Deadline::after(std::chrono::seconds(5)); }

// Answers each read with `answer`, or fails every call with `error`.
class EasyTransport final : public devices::Transport {
 public:
  core::ByteBuffer answer;
  std::optional<core::Error> error;

  [[nodiscard]] core::Status write(core::ByteView, core::Deadline) override { return result(); }
  [[nodiscard]] core::Result<std::size_t> read(core::ByteSpan buffer, core::Deadline) override {
    IMPRINT_CHECK(result());
    const std::size_t count = std::min(buffer.size(), answer.size());
    std::copy_n(answer.begin(), count, buffer.begin());
    return count;
  }
  [[nodiscard]] core::Status clear(core::Deadline) override { return result(); }
  [[nodiscard]] core::Status control_line_state(core::Deadline) override { return result(); }
  void cancel_at(core::Deadline) override {}

 private:
  [[nodiscard]] core::Status result() const {
    if (error) return core::Failure(*error);
    return {};
  }
};

inline core::ByteBuffer file_of(const std::filesystem::path& path) {
  const auto source = core::FileSource::open(path);
  REQUIRE(source);
  return (*source)->read(0, (*source)->size()).value();
}

inline core::Result<std::shared_ptr<const capture::Recording>> read_recording(core::ByteBuffer bytes) {
  return capture::Recording::read(std::make_shared<core::MemorySource>(std::move(bytes)));
}

template <class R>
std::string error_id(const R& result) {
  return result ? "" : std::string(result.error().id());
}

// A file that is built block by block.
class FileBuilder {
 public:
  FileBuilder& section() { return add(capture::section_block("a test")); }
  FileBuilder& port(std::string_view name) { return add(capture::interface_block(name, "")); }
  FileBuilder& transfer(capture::TransferPlace place, capture::TransferFacts facts, core::ByteView data = {}) {
    const auto blocks = capture::transfer_blocks(place, facts, data.size());
    add(blocks.before);
    bytes_.insert(bytes_.end(), data.begin(), data.end());
    return add(blocks.after);
  }
  FileBuilder& add(const core::ByteBuffer& block) {
    bytes_.insert(bytes_.end(), block.begin(), block.end());
    return *this;
  }
  [[nodiscard]] const core::ByteBuffer& bytes() const { return bytes_; }

 private:
  core::ByteBuffer bytes_;
};

}  // namespace imprint::capture_fixture
