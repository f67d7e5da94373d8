// SPDX-License-Identifier: GPL-3.0-or-later
// The device's side: that it is as strict as a real one, and its storage honest.
#include "flash/core/digest.hpp"
#include "tests/unit/devices/device_fixture.hpp"

using namespace imprint;
using namespace imprint::fixture;
using devices::SimpleIoTarget;
using Outcome = VirtualSimpleIoDevice::Outcome;
using Kind = VirtualSimpleIoDevice::Reply::Kind;

namespace {

std::optional<core::ByteBuffer> next_reply(VirtualSimpleIoDevice& device, std::size_t size = simple_io::kTransferSize) {
  core::ByteBuffer buffer(size);
  const auto reply = device.reply(buffer);
  if (reply.kind != Kind::data) return std::nullopt;
  buffer.resize(reply.size);
  return buffer;
}

void send(VirtualSimpleIoDevice& device, Opcode code) { REQUIRE(device.receive(one(code)) == Outcome::taken); }

core::ByteBuffer make_packet(core::ByteView data, std::uint32_t valid, std::uint32_t number) {
  core::ByteWriter out;
  out.bytes(data);
  out.zeros(simple_io::kPacketDataSize - data.size());
  out.le(valid);
  out.le(number);
  out.le(core::crc32(out.buffer()));
  return out.release();
}

void send_packet(VirtualSimpleIoDevice& device, core::ByteView packet) {
  for (std::size_t at = 0; at < packet.size(); at += simple_io::kTransferSize) {
    REQUIRE(device.receive(packet.subspan(at, std::min(simple_io::kTransferSize, packet.size() - at))) ==
            Outcome::taken);
  }
}

// The device's number for its refusal, and that it takes no image for one.
int refusal(const std::shared_ptr<VirtualSimpleIoDevice>& device, const core::ByteBuffer& file) {
  SimpleIoTarget target(connect(device));
  MemoryStream image(file);
  RecordingObserver observer;
  const auto done = target.flash(image, observer, {});
  CHECK(device->completed_images() == 0);
  return done ? 0 : std::stoi(std::string(done.error().context_value("device_error")));
}

core::ByteBuffer read_disk_parameters(std::uint64_t offset, std::uint64_t count) {
  core::ByteWriter out;
  core::write_struct(out, simple_io::DiskRange{offset, count});
  return out.release();
}

}  // namespace

TEST_CASE("virtual storage reads as its fill byte but where it was written") {
  auto storage = virtual_device::VirtualStorage::create(std::filesystem::temp_directory_path(), 1ULL << 40);
  REQUIRE(storage);
  REQUIRE((*storage)->write_at(1000, core::ByteBuffer(10, 1)));
  REQUIRE((*storage)->write_at(1020, core::ByteBuffer(5, 2)));
  core::ByteBuffer expected(40, 0xA5);
  std::fill_n(expected.begin() + 5, 10, std::uint8_t{1});
  std::fill_n(expected.begin() + 25, 5, std::uint8_t{2});
  CHECK((*storage)->read(995, 40) == expected);
  CHECK((*storage)->written().total() == 15);
  CHECK((*storage)->flush());
}

TEST_CASE("virtual storage ends where it ends") {
  auto storage = virtual_device::VirtualStorage::create(std::filesystem::temp_directory_path(), 4096);
  REQUIRE(storage);
  CHECK(error_id((*storage)->write_at(4090, core::ByteBuffer(7))) == "io.out-of-range");
  CHECK(error_id((*storage)->read(UINT64_MAX, 2)) == "io.out-of-range");
  CHECK((*storage)->written().empty());
}

TEST_CASE("virtual storage leaves no file behind and needs its folder") {
  const auto folder = std::filesystem::temp_directory_path() / ("imprint-storage-" + core::Guid::random().to_string());
  CHECK(error_id(virtual_device::VirtualStorage::create(folder, 4096)) == "io.not-found");
  std::filesystem::create_directory(folder);
  {
    auto storage = virtual_device::VirtualStorage::create(folder, 4096);
    REQUIRE(storage);
    CHECK(std::filesystem::is_empty(folder));
  }
  std::filesystem::remove(folder);
}

TEST_CASE("a virtual device that cannot be is refused") {
  auto options = device_options();
  SECTION("no disk") { options.disk_size = 0; }
  SECTION("half a sector") { options.disk_size += 256; }
  SECTION("no such sector size") { options.sector_size = 1000; }
  SECTION("nothing transferred") { options.disk_transfer_size = 0; }
  SECTION("fast packets of a size that the protocol does not have") { options.fast_packet_data_size = 300000; }
  SECTION("fast transfers that are too small") { options.fast_transfer_size = 16374; }
  SECTION("fast transfers that may leave a single byte") { options.fast_transfer_size = 16377; }
  SECTION("a platform id that no host takes") { options.platform_id.assign(5000, 'x'); }
  CHECK(error_id(VirtualSimpleIoDevice::create(options)) == "device.virtual-setup-invalid");
}

TEST_CASE("a compressed image is refused with 8 and writes nothing") {
  FileOptions options;
  options.form = Form::v1_compressed;
  options.stores[0].descriptors = simple_descriptors(4);
  const auto device = make_device();
  CHECK(refusal(device, build_image(options).file) == 8);
  CHECK(device->storage()->written().empty());
}

TEST_CASE("a partial update is applied only over what it is made for") {
  FileOptions options;
  options.stores[0].descriptors = simple_descriptors(4);
  options.stores[0].update_type = 1;
  const auto device = make_device();
  SECTION("another content") {
    options.stores[0].validation = {{3, 7, "not there"}};
    CHECK(refusal(device, build_image(options).file) == 8);
    CHECK(device->storage()->written().empty());
  }
  SECTION("the content that the storage began with") {
    options.stores[0].validation = {{3, 7, std::string(9, '\xA5')}};
    SimpleIoTarget target(connect(device));
    MemoryStream image(build_image(options).file);
    RecordingObserver observer;
    CHECK(target.flash(image, observer, {}).has_value());
    CHECK(device->completed_images() == 1);
  }
}

TEST_CASE("an image whose end tells that its payload began elsewhere is not confirmed") {
  FileOptions options;
  options.stores[0].block_size = 4096;
  options.stores[0].descriptors = simple_descriptors(16);
  options.padding = Padding::block;
  options.fill_last_chunk = true;  // so that as many bytes come as the format's own rule of padding asks for
  CHECK(refusal(make_device(), build_image(options).file) == 8);
}

TEST_CASE("an image for another platform is refused with 22 and writes nothing") {
  ImageOptions options;
  options.platform_id = "Imprint.Virtual.Other.1";
  options.descriptors = simple_descriptors(24);
  const auto device = make_device();
  CHECK(refusal(device, build_image(options).file) == 22);
  CHECK(device->storage()->written().empty());
}

TEST_CASE("an image whose catalog is not trusted is refused with 24 and writes nothing") {
  auto options = device_options();
  options.check_catalog = [](const ffu::Image& image) { return image.catalog.size() != 100; };
  const auto device = make_device(options);
  CHECK(refusal(device, small_image().file) == 24);
  CHECK(device->storage()->written().empty());
}

TEST_CASE("a changed byte in any chunk is refused with 23, and the chunk does not reach the disk") {
  const Image image = small_image();
  for (std::size_t at = image.payload_offset + 5; at < image.file.size(); at += image.chunk_size) {
    core::ByteBuffer file = image.file;
    file[at] ^= 1;
    const auto device = make_device();
    REQUIRE(refusal(device, file) == 23);
    const std::uint64_t blocks_before = (at - image.payload_offset) / image.chunk_size;
    const std::uint64_t written = device->storage()->written().total();
    CHECK(written == (blocks_before == 0 ? 0 : (blocks_before + 1) * image.chunk_size));
  }
}

TEST_CASE("changed header bytes are refused") {
  const Image image = small_image();
  core::ByteBuffer file = image.file;
  SECTION("the magic") {
    file[5] ^= 1;
    CHECK(refusal(make_device(), file) == 16);
  }
  SECTION("the chunk size") {
    file[16] = 0;
    CHECK(refusal(make_device(), file) == 16);
  }
  SECTION("the image header") {
    file[image.hashed_offset + 5] ^= 1;
    CHECK(refusal(make_device(), file) == 18);
  }
  SECTION("the manifest's text") {
    file[image.hashed_offset + 24 + 70] ^= 1;
    CHECK(refusal(make_device(), file) != 0);
  }
  SECTION("the store's block size") {
    file[image.hashed_offset + image.chunk_size + 204] = 1;
    CHECK(refusal(make_device(), file) == 8);
  }
  SECTION("an access method") {
    file[image.hashed_offset + image.chunk_size + 248 + 8] = 9;
    CHECK(refusal(make_device(), file) == 28);
  }
}

TEST_CASE("an image that is cut anywhere is never confirmed") {
  const Image image = small_image();
  for (std::size_t size = 0; size < image.file.size(); size += size < image.payload_offset ? 1501 : 9973) {
    INFO("cut at " << size);
    const core::ByteBuffer cut(image.file.begin(), image.file.begin() + static_cast<std::ptrdiff_t>(size));
    CHECK(refusal(make_device(), cut) != 0);
  }
}

TEST_CASE("an image that ends between chunks is refused with 12") {
  const Image image = small_image();
  const core::ByteBuffer cut(image.file.begin(), image.file.end() - image.chunk_size);
  CHECK(refusal(make_device(), cut) == 12);
}

TEST_CASE("bytes behind the payload are refused with 21") {
  core::ByteBuffer file = small_image().file;
  file.resize(file.size() + 16384, 1);
  CHECK(refusal(make_device(), file) == 21);
}

TEST_CASE("an image for a larger disk is refused with 28 and writes nothing") {
  ImageOptions options;
  options.descriptors = simple_descriptors(24);
  options.descriptors.back().locations.push_back({0, 256});
  const auto device = make_device();
  CHECK(refusal(device, build_image(options).file) == 28);
  CHECK(device->storage()->written().empty());
}

TEST_CASE("an image smaller than the most careful guess at its headers is taken") {
  ImageOptions options;
  options.chunk_kib = 16;
  options.block_size = 4096;
  options.descriptors = {{{{0, 3}}, 1, 9}};
  const auto device = make_device();
  SimpleIoTarget target(connect(device));
  MemoryStream image(build_image(options).file);
  RecordingObserver observer;
  CHECK(target.flash(image, observer, {}));
  CHECK(disk_of(*device) == expected_disk(options, 0xA5));
}

TEST_CASE("a command that the device does not know is answered with Err") {
  const auto device = make_device();
  for (const int code : {0, 9, 20, 200}) {
    REQUIRE(device->receive(core::ByteBuffer{static_cast<std::uint8_t>(code)}) == Outcome::taken);
    CHECK(next_reply(*device) == one(Opcode::error));
  }
}

TEST_CASE("the device says which commands it knows") {
  const auto device = make_device();
  const auto ask = [&](std::uint8_t code) {
    send(*device, Opcode::query_for_command);
    REQUIRE(device->receive(core::ByteBuffer{code}) == Outcome::taken);
    return next_reply(*device)->at(0);
  };
  CHECK(ask(13) == 1);
  CHECK(ask(20) == 0);
}

TEST_CASE("a packet that came damaged is answered with Nack and may be sent again") {
  const auto device = make_device();
  const core::ByteBuffer file = small_image().file;
  core::ByteBuffer packet =
      make_packet(core::ByteView(file).first(simple_io::kPacketDataSize), simple_io::kPacketDataSize, 0);
  send(*device, Opcode::flash);
  packet[1000] ^= 4;
  send_packet(*device, packet);
  CHECK(next_reply(*device) == one(Opcode::nack));
  CHECK(device->position() == 0);
  packet[1000] ^= 4;
  send_packet(*device, packet);
  CHECK(next_reply(*device) == one(Opcode::ack));
  CHECK(device->position() == simple_io::kPacketDataSize);
}

TEST_CASE("a packet that lies about itself ends the flash, and the device has to be reset") {
  const auto device = make_device();
  send(*device, Opcode::flash);
  SECTION("its number") { send_packet(*device, make_packet(core::ByteBuffer(10), 10, 1)); }
  SECTION("its length") { send_packet(*device, make_packet(core::ByteBuffer(10), simple_io::kPacketDataSize + 1, 0)); }
  SECTION("a negative length") { send_packet(*device, make_packet(core::ByteBuffer(10), 0xFFFFFFFFU, 0)); }
  SECTION("its padding") { send_packet(*device, make_packet(core::ByteBuffer(10, 1), 9, 0)); }
  const auto log = next_reply(*device);
  REQUIRE(log);
  CHECK(simple_io::parse_log(*log));
  CHECK(next_reply(*device) == one(Opcode::error));
  CHECK(device->position() != 0);
  send(*device, Opcode::flash);
  CHECK(simple_io::parse_log(*next_reply(*device))->id == 26);
  CHECK(next_reply(*device) == one(Opcode::error));
  send(*device, Opcode::reset);
  CHECK(next_reply(*device) == one(Opcode::error));
  CHECK(device->position() == 0);
}

TEST_CASE("transfers where a command is due are a loss of step, which is told once") {
  const auto device = make_device();
  for (int i = 0; i < 100; ++i) REQUIRE(device->receive(core::ByteBuffer(2)) == Outcome::taken);
  CHECK(simple_io::parse_log(*next_reply(*device))->id == 26);
  CHECK(next_reply(*device) == one(Opcode::error));
  CHECK_FALSE(next_reply(*device));
  send(*device, Opcode::serial_number);
  CHECK(next_reply(*device)->size() == 16);
}

TEST_CASE("a packet that is longer than it should be is not taken, and the next one is") {
  const auto device = make_device();
  send(*device, Opcode::flash);
  REQUIRE(device->receive(core::ByteBuffer(simple_io::kPacketSize - 2)) == Outcome::taken);
  REQUIRE(device->receive(core::ByteBuffer(4)) == Outcome::taken);
  CHECK(next_reply(*device) == one(Opcode::nack));
  CHECK(device->position() == 0);
  const core::ByteBuffer file = small_image().file;
  send_packet(*device,
              make_packet(core::ByteView(file).first(simple_io::kPacketDataSize), simple_io::kPacketDataSize, 0));
  CHECK(next_reply(*device) == one(Opcode::ack));
}

TEST_CASE("a command in the middle of a packet is one, and the packet is dropped") {
  const auto device = make_device();
  send(*device, Opcode::flash);
  REQUIRE(device->receive(core::ByteBuffer(5000)) == Outcome::taken);
  send(*device, Opcode::id);
  const auto id = simple_io::parse_id(*next_reply(*device));
  REQUIRE(id);
  CHECK((*id)->position == 0);
}

TEST_CASE("a disk range that is not on the disk stalls until the halt is cleared") {
  const auto device = make_device();
  for (const auto& [offset, count] : std::vector<std::pair<std::uint64_t, std::uint64_t>>{
           {4U << 20, 512}, {UINT64_MAX - 511, 1024}, {1, 512}, {0, 100}}) {
    send(*device, Opcode::read_disk);
    REQUIRE(device->receive(read_disk_parameters(offset, count)) == Outcome::taken);
    core::ByteBuffer buffer(512);
    CHECK(device->reply(buffer).kind == Kind::stall);
    CHECK(device->reply(buffer).kind == Kind::stall);
    device->clear_halt();
    CHECK(device->reply(buffer).kind == Kind::none);
  }
}

TEST_CASE("the parameters of a command may come in pieces") {
  const auto device = make_device();
  const core::ByteBuffer range = read_disk_parameters(512, 1024);
  send(*device, Opcode::read_disk);
  for (const std::uint8_t byte : range) REQUIRE(device->receive(core::ByteBuffer{byte}) == Outcome::taken);
  CHECK(next_reply(*device, 512) == core::ByteBuffer(512, 0xA5));
  CHECK(next_reply(*device, 512) == core::ByteBuffer(512, 0xA5));
  CHECK_FALSE(next_reply(*device, 512));
}

TEST_CASE("a whole disk may be asked for at once without memory for it") {
  auto options = device_options();
  options.disk_size = 1ULL << 40;
  const auto device = make_device(options);
  send(*device, Opcode::read_disk);
  REQUIRE(device->receive(read_disk_parameters(0, 1ULL << 40)) == Outcome::taken);
  CHECK(next_reply(*device, 131072)->size() == 131072);
}

TEST_CASE("an answer that does not fit the buffer is an overflow") {
  const auto device = make_device();
  send(*device, Opcode::serial_number);
  core::ByteBuffer buffer(10);
  CHECK(device->reply(buffer).kind == Kind::overflow);
  CHECK(device->reply(buffer).kind == Kind::none);
}

TEST_CASE("a host that never reads is held off") {
  const auto device = make_device();
  int taken = 0;
  while (taken < 1000 && device->receive(one(Opcode::id)) == Outcome::taken) ++taken;
  CHECK(taken < 1000);
  REQUIRE(next_reply(*device));
  CHECK(device->receive(one(Opcode::id)) == Outcome::taken);
}

TEST_CASE("a device whose power was cut starts at position 0 and keeps its disk") {
  const auto device = make_device();
  const core::ByteBuffer file = small_image().file;
  send(*device, Opcode::flash);
  send_packet(*device,
              make_packet(core::ByteView(file).first(simple_io::kPacketDataSize), simple_io::kPacketDataSize, 0));
  const std::uint64_t written = device->storage()->written().total();
  REQUIRE(written != 0);
  device->power_cut();
  CHECK(device->position() == 0);
  CHECK_FALSE(next_reply(*device));
  CHECK(device->storage()->written().total() == written);
  CHECK(refusal(device, {}) == 15);
}

TEST_CASE("a bad sector fails the write of the image, and its reading") {
  auto options = device_options();
  options.faults.bad_sector = 512;
  const auto device = make_device(options);
  CHECK(refusal(device, small_image().file) == 13);
  SimpleIoTarget target(connect(device));
  const auto disk = target.open_disk();
  REQUIRE(disk);
  CHECK(error_id((*disk)->read(0, 1024)) == "device.stalled");
}

TEST_CASE("a device that dies after its reboot says nothing any more") {
  auto options = device_options();
  options.faults.dies_after_reboot = true;
  const auto device = make_device(options);
  REQUIRE(SimpleIoTarget(connect(device)).reboot());
  CHECK(error_id(SimpleIoTarget(connect(device)).identify()) == "device.timed-out");
}

TEST_CASE("a device whose disk is slow takes an image no faster than that, and answers at the link's speed") {
  auto options = device_options();
  options.bytes_per_second = 1'000'000;
  options.faults.slow_write = 1000;
  const auto device = make_device(options);
  CHECK(device->bytes_per_second() == 1'000'000);
  send(*device, Opcode::flash);
  CHECK(device->bytes_per_second() == 1000);
}

TEST_CASE("a device that trusts the image takes one whose hashes are wrong") {
  auto options = device_options();
  options.trusts_image = true;
  options.check_catalog = [](const ffu::Image&) { return false; };
  const Image image = small_image();
  core::ByteBuffer file = image.file;
  file[image.payload_offset + 5] ^= 1;
  const auto device = make_device(options);
  SimpleIoTarget target(connect(device));
  MemoryStream stream(file);
  RecordingObserver observer;
  CHECK(target.flash(stream, observer, {}));
}

TEST_CASE("a device's latency is waited for with each transfer") {
  auto options = device_options();
  options.latency = std::chrono::milliseconds(20);
  const auto device = make_device(options);
  const auto start = std::chrono::steady_clock::now();
  REQUIRE(SimpleIoTarget(connect(device)).identify());
  // Id, its answer and what else is asked are more than six transfers.
  CHECK(std::chrono::steady_clock::now() - start > std::chrono::milliseconds(100));
  CHECK(device->link_time(0) == std::chrono::milliseconds(20));
}
