// SPDX-License-Identifier: GPL-3.0-or-later
// Does it fit, and is it really on the disk.
#include "flash/engine/flash_device.hpp"

#include <catch2/catch.hpp>

#include "tests/unit/fixtures/ffu_fixture.hpp"
#include "tests/unit/fixtures/ffu_forms.hpp"

using namespace imprint;

namespace {

struct Fixture {
  fixture::ImageOptions options;
  fixture::Image file;
  std::shared_ptr<engine::VerifiedImage> image;

  explicit Fixture(std::uint32_t chunk_kib = 16, std::uint32_t block_size = 16384) {
    options.chunk_kib = chunk_kib;
    options.block_size = block_size;
    options.descriptors = fixture::simple_descriptors(24);
    options.descriptors.push_back({{{0, 2}}, 1, 99});   // writes again what descriptor 1 wrote
    options.descriptors.push_back({{{0, 60}}, 3, 98});  // a run
    file = fixture::build_image(options);
    image = engine::VerifiedImage::open(std::make_shared<core::MemorySource>(file.file)).value();
  }
  [[nodiscard]] engine::DeviceIdentity device() const {
    engine::DeviceIdentity identity;
    identity.platform_id = options.platform_id;
    identity.disk = engine::DiskGeometry{512, options.disk_size};
    return identity;
  }
};

}  // namespace

TEST_CASE("a device of the right kind with a large enough disk fits") {
  const Fixture f;
  CHECK(engine::check_fit(f.image->image(), f.device()).has_value());
  auto larger = f.device();
  larger.disk->size *= 2;
  CHECK(engine::check_fit(f.image->image(), larger).has_value());
}

TEST_CASE("what does not fit is refused by its own id") {
  const Fixture f;
  const auto refused = [&](const engine::DeviceIdentity& device) {
    return std::string(engine::check_fit(f.image->image(), device).error().id());
  };
  auto device = f.device();
  device.platform_id = "Imprint.Virtual.Other.1";
  CHECK(refused(device) == "device.platform-mismatch");
  device = f.device();
  device.disk->size -= 512;
  CHECK(refused(device) == "device.disk-too-small");
  device = f.device();
  device.disk->sector_size = 4096;
  CHECK(refused(device) == "device.sector-size-mismatch");
  device = f.device();
  device.disk.reset();
  CHECK(refused(device) == "device.disk-unknown");
}

TEST_CASE("an image that this version could not prove is not flashed") {
  const Fixture f;
  auto image = f.image->image();
  image.stores.push_back(image.stores[0]);
  CHECK(engine::check_fit(image, f.device()).error().id() == "image.several-stores");
  image = f.image->image();
  image.form = ffu::Form::v1_compressed;
  CHECK(engine::check_fit(image, f.device()).error().id() == "image.compressed");
  image = f.image->image();
  image.stores[0].update_type = ffu::UpdateType::partial;
  CHECK(engine::check_fit(image, f.device()).error().id() == "image.partial-update");
  image = f.image->image();
  image.stores[0].descriptors.clear();
  CHECK(engine::check_fit(image, f.device()).error().id() == "image.describes-nothing");
}

TEST_CASE("a disk that holds the image reads back, whatever lies where the image says nothing") {
  for (const std::uint32_t block : {4096U, 16384U, 65536U}) {
    const Fixture f(16, block);
    const core::MemorySource disk(fixture::expected_disk(f.options, 0xA5));
    std::uint64_t last = 0;
    std::uint64_t due = 0;
    REQUIRE(engine::read_back(*f.image, disk,
                              [&](std::uint64_t done, std::uint64_t total) { last = done, due = total; }, {})
                .has_value());
    CHECK(last == due);
    CHECK(due > 0);
  }
}

TEST_CASE("one wrong bit anywhere in what the image describes is found") {
  const Fixture f;
  const auto sound = fixture::expected_disk(f.options, 0xA5);
  const auto untouched = fixture::expected_disk(f.options, 0x5A);
  int described = 0;
  for (std::size_t offset = 100; offset < sound.size(); offset += 8192) {
    auto bytes = sound;
    bytes[offset] ^= 0x40;
    const auto status = engine::read_back(*f.image, core::MemorySource(bytes), {}, {});
    const bool in_image = sound[offset] == untouched[offset];
    described += in_image ? 1 : 0;
    REQUIRE(status.has_value() == !in_image);
    if (in_image) REQUIRE(status.error().id() == "readback.mismatch");
  }
  CHECK(described > 40);
}

TEST_CASE("a device that still holds an earlier write of the same block does not read back") {
  const Fixture f;
  auto older = f.options;
  older.descriptors.erase(older.descriptors.begin() + 24);  // the second write never came
  const auto status = engine::read_back(*f.image, core::MemorySource(fixture::expected_disk(older, 0xA5)), {}, {});
  REQUIRE_FALSE(status.has_value());
  CHECK(status.error().id() == "readback.mismatch");
}

TEST_CASE("a read-back that is cancelled says so") {
  const Fixture f;
  std::stop_source stop;
  stop.request_stop();
  const core::MemorySource disk(fixture::expected_disk(f.options, 0xA5));
  CHECK(engine::read_back(*f.image, disk, {}, stop.get_token()).error().id() == "job.cancelled");
}

TEST_CASE("a disk is proved against an image of any form, and one wrong byte is found") {
  for (const auto& form : fixture::all_forms()) {
    if (form.options.stores.size() != 1) continue;
    CAPTURE(form.name);
    const auto file = fixture::build_image(form.options);
    const auto image = engine::VerifiedImage::open(std::make_shared<core::MemorySource>(file.file)).value();
    auto bytes = fixture::expected_disk(form.options.stores[0], 0xA5);
    CHECK(engine::read_back(*image, core::MemorySource(bytes), {}, {}).has_value());
    const auto map = ffu::DiskMap::build(image->image().stores[0], bytes.size()).value();
    for (const ffu::MappedRun& run : map.runs()) {
      bytes[run.disk_offset + run.length / 2] ^= 1;
      CHECK(engine::read_back(*image, core::MemorySource(bytes), {}, {}).error().id() == "readback.mismatch");
      bytes[run.disk_offset + run.length / 2] ^= 1;
    }
  }
}
