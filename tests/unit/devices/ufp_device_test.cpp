// SPDX-License-Identifier: GPL-3.0-or-later
// The virtual UFP device as a strict judge: what it refuses, and that its disk stays as it was then.
#include "tests/unit/devices/ufp_fixture.hpp"

using namespace imprint;
using namespace imprint::fixture;
using namespace imprint::ufp_fixture;

namespace {

struct Bench {
  explicit Bench(UfpOptions options = ufp_options()) : device(make_ufp_device(std::move(options))) {}
  std::shared_ptr<VirtualUfpDevice> device;

  core::ByteBuffer exchange(core::ByteView message) {
    REQUIRE(device->receive(message) == VirtualUfpDevice::Outcome::taken);
    core::ByteBuffer buffer(ufp::kReplyBufferSize);
    const auto reply = device->reply(buffer);
    REQUIRE(reply.kind == VirtualUfpDevice::Reply::Kind::data);
    buffer.resize(reply.size);
    return buffer;
  }
  template <class Head>
  std::uint16_t send(const Head& head, core::ByteView data) {
    core::ByteBuffer message = ufp::message(head);
    message.insert(message.end(), data.begin(), data.end());
    const auto status = ufp::parse_status(exchange(message), ufp::kSecureFlash);
    REQUIRE(status);
    return status->status.value();
  }
  std::uint16_t header(core::ByteView data) {
    return send(ufp::header_v2(2, size_of(data), 0, size_of(data), 0), data);
  }
  std::uint16_t payload(core::ByteView data) { return send(ufp::payload_head<ufp::PayloadV2>(size_of(data), 0), data); }
  static std::uint32_t size_of(core::ByteView data) { return static_cast<std::uint32_t>(data.size()); }
  bool is_untouched() const { return core::ByteBuffer(device->options().disk_size, 0xA5) == disk_of(*device); }
};

struct Parts {
  Image image = small_image();
  core::ByteView headers = core::ByteView(image.file).first(image.payload_offset);
  core::ByteView payload = core::ByteView(image.file).subspan(image.payload_offset);
};

}  // namespace

TEST_CASE("the virtual UFP device takes an image and says done with its last part only") {
  Bench bench;
  const Parts parts;
  CHECK(bench.header(parts.headers) == 0);
  const std::size_t half = parts.image.chunk_size;
  CHECK(bench.payload(parts.payload.first(half)) == 0);
  CHECK(bench.device->completed_images() == 0);
  core::ByteBuffer last =
      ufp::message(ufp::payload_head<ufp::PayloadV2>(Bench::size_of(parts.payload.subspan(half)), 100));
  last.insert(last.end(), parts.payload.begin() + static_cast<std::ptrdiff_t>(half), parts.payload.end());
  const auto reply = ufp::parse_payload_reply(bench.exchange(last));
  REQUIRE(reply);
  CHECK(reply->final_state.value() == ufp::kDone);
  CHECK(bench.device->completed_images() == 1);
  CHECK(bench.payload(parts.payload.first(half)) == 0x100B);
}

TEST_CASE("the virtual UFP device lets nobody skip a check") {
  Bench bench;
  const Parts parts;
  ufp::HeaderV2 header = ufp::header_v2(2, Bench::size_of(parts.headers), 0, Bench::size_of(parts.headers), 0);
  SECTION("by the headers' options") {
    header.options = 2;
    CHECK(bench.send(header, parts.headers) == 0x0008);
  }
  SECTION("by erasing") {
    header.erase = 1;
    CHECK(bench.send(header, parts.headers) == 0x0008);
  }
  SECTION("by the payload's options") {
    CHECK(bench.send(header, parts.headers) == 0);
    auto payload = ufp::payload_head<ufp::PayloadV2>(Bench::size_of(parts.payload), 0);
    payload.options = 1;
    CHECK(bench.send(payload, parts.payload) == 0x0008);
  }
  CHECK(bench.is_untouched());
}

TEST_CASE("the virtual UFP device refuses messages that are out of order or out of form") {
  Bench bench;
  const Parts parts;
  const std::uint32_t size = Bench::size_of(parts.headers);
  SECTION("payload without headers") { CHECK(bench.payload(parts.payload) == 0x1004); }
  SECTION("payload in the middle of the headers") {
    CHECK(bench.send(ufp::header_v2(2, size, 0, 1000, 0), parts.headers.first(1000)) == 0);
    CHECK(bench.payload(parts.payload) == 0x1004);
  }
  SECTION("a gap in the headers") {
    CHECK(bench.send(ufp::header_v2(2, size, 0, 1000, 0), parts.headers.first(1000)) == 0);
    CHECK(bench.send(ufp::header_v2(2, size, 2000, 1000, 0), parts.headers.subspan(2000, 1000)) == 0x0010);
  }
  SECTION("headers that go on into the payload") {
    const auto more = core::ByteView(parts.image.file).first(size + parts.image.chunk_size);
    CHECK(bench.header(more) == 0x1001);
  }
  SECTION("headers that end early") {
    const auto less = parts.headers.first(size - parts.image.chunk_size);
    CHECK(bench.header(less) != 0);
  }
  SECTION("a part that ends inside of a chunk") {
    CHECK(bench.header(parts.headers) == 0);
    CHECK(bench.payload(parts.payload.first(100)) == 0x1005);
  }
  SECTION("V1 payload behind V2 headers") {
    CHECK(bench.header(parts.headers) == 0);
    const auto chunk = parts.payload.first(parts.image.chunk_size);
    CHECK(bench.send(ufp::payload_head<ufp::PayloadV1>(Bench::size_of(chunk), 0), chunk) == 0x1004);
  }
  SECTION("a length that lies") {
    CHECK(bench.send(ufp::header_v2(2, size, 0, size, 0), parts.headers.first(500)) == 0x0010);
  }
  SECTION("another header type") {
    auto header = ufp::header_v2(2, size, 0, size, 0);
    header.header_type = 1;
    CHECK(bench.send(header, parts.headers) == 0x1000);
  }
  SECTION("a message type that it does not know") {
    auto header = ufp::header_v2(2, size, 0, size, 0);
    header.head.type = 0x1D;
    CHECK(bench.send(header, parts.headers) == 0x000E);
  }
  SECTION("two sub-blocks") {
    auto header = ufp::header_v2(2, size, 0, size, 0);
    header.head.sub_blocks = 2;
    CHECK(bench.send(header, parts.headers) == 0x000F);
  }
  CHECK(bench.is_untouched());
  CHECK(bench.header(parts.headers) == 0);
  CHECK(bench.payload(parts.payload) == 0);
  CHECK(bench.device->completed_images() == 1);
}

TEST_CASE("the virtual UFP device refuses images that are not for it or not right") {
  Parts parts;
  UfpOptions options = ufp_options();
  SECTION("another platform") {
    options.platform_id = "Another.Board.Of.1";
    CHECK(Bench(options).header(parts.headers) == 0x1304);
  }
  SECTION("a catalog that its keys do not accept") {
    options.check_catalog = [](const ffu::Image&) { return false; };
    CHECK(Bench(options).header(parts.headers) == 0x1106);
  }
  SECTION("a disk that is too small") {
    options.disk_size = 16384;
    CHECK(Bench(options).header(parts.headers) == 0x1307);
  }
  SECTION("a chunk that does not match its hash") {
    Bench bench(options);
    CHECK(bench.header(parts.headers) == 0);
    core::ByteBuffer wrong(parts.payload.begin(), parts.payload.end());
    wrong[5] ^= 1;
    CHECK(bench.payload(wrong) == 0x1003);
    CHECK(bench.is_untouched());
  }
  SECTION("no image at all") { CHECK(Bench(options).header(core::ByteBuffer(5000, 7)) == 0x1101); }
}

TEST_CASE("the virtual UFP device says NOKU to what it does not know") {
  UfpOptions options = ufp_options();
  options.protocols = ufp::kSyncV1;
  options.without = {"NOKXFX"};
  Bench bench(options);
  for (const auto& message :
       {bytes_of("NOKQ"), bytes_of("hello"), bytes_of("NOKXCBQ"), ufp::message(ufp::ReadLog{}),
        ufp::message(ufp::header_v2(2, 0, 0, 0, 0)), ufp::message(ufp::payload_head<ufp::PayloadV2>(0, 0))}) {
    CHECK(bench.exchange(message) == unknown_answer());
  }
}

TEST_CASE("the virtual UFP device forgets an image when its power goes, and keeps its disk") {
  Bench bench;
  const Parts parts;
  CHECK(bench.header(parts.headers) == 0);
  CHECK(bench.device->position() == parts.headers.size());
  bench.device->power_cut();
  CHECK(bench.device->position() == 0);
  CHECK(bench.payload(parts.payload) == 0x1004);
}

TEST_CASE("a virtual UFP device that cannot be is refused") {
  UfpOptions options = ufp_options();
  SECTION("no disk") { options.disk_size = 0; }
  SECTION("half a sector") { options.disk_size = 1000; }
  SECTION("more sectors than it can tell") { options.disk_size = std::uint64_t{512} << 32; }
  SECTION("a platform id without end") { options.platform_id.assign(2000, 'x'); }
  CHECK(error_id(VirtualUfpDevice::create(options)) == "device.virtual-setup-invalid");
}

TEST_CASE("a reply that does not fit the host's buffer overflows as on USB") {
  Bench bench;
  REQUIRE(bench.device->receive(core::as_bytes(ufp::kInfo)) == VirtualUfpDevice::Outcome::taken);
  core::ByteBuffer small(10);
  CHECK(bench.device->reply(small).kind == VirtualUfpDevice::Reply::Kind::overflow);
  CHECK(bench.device->reply(small).kind == VirtualUfpDevice::Reply::Kind::none);
}

TEST_CASE("a virtual UFP device that nobody reads from takes no more") {
  Bench bench;
  auto outcome = VirtualUfpDevice::Outcome::taken;
  for (int i = 0; i < 100 && outcome == VirtualUfpDevice::Outcome::taken; ++i) {
    outcome = bench.device->receive(core::as_bytes(ufp::kHello));
  }
  CHECK(outcome == VirtualUfpDevice::Outcome::busy);
}

TEST_CASE("a UFP message that comes in parts of whole packets is one message") {
  Bench bench;
  const Parts parts;
  const auto in_parts = [&](core::ByteBuffer message, std::size_t part) {
    core::ByteView rest = message;
    for (; rest.size() > part; rest = rest.subspan(part)) {
      REQUIRE(bench.device->receive(rest.first(part)) == VirtualUfpDevice::Outcome::taken);
      core::ByteBuffer nothing(512);
      REQUIRE(bench.device->reply(nothing).kind == VirtualUfpDevice::Reply::Kind::none);
    }
    return ufp::parse_status(bench.exchange(rest), ufp::kSecureFlash)->status.value();
  };
  core::ByteBuffer headers =
      ufp::message(ufp::header_v2(2, Bench::size_of(parts.headers), 0, Bench::size_of(parts.headers), 0));
  headers.insert(headers.end(), parts.headers.begin(), parts.headers.end());
  core::ByteBuffer payload = ufp::message(ufp::payload_head<ufp::PayloadV2>(Bench::size_of(parts.payload), 100));
  payload.insert(payload.end(), parts.payload.begin(), parts.payload.end());
  CHECK(in_parts(headers, 512) == 0);
  CHECK(in_parts(payload, 4096) == 0);
  CHECK(bench.device->completed_images() == 1);
}

TEST_CASE("a UFP message that ends before its length is refused, and the next one is read afresh") {
  Bench bench;
  const Parts parts;
  core::ByteBuffer message =
      ufp::message(ufp::header_v2(2, Bench::size_of(parts.headers), 0, Bench::size_of(parts.headers), 0));
  message.insert(message.end(), parts.headers.begin(), parts.headers.end());
  REQUIRE(bench.device->receive(core::ByteView(message).first(1024)) == VirtualUfpDevice::Outcome::taken);
  const auto refused = ufp::parse_status(bench.exchange(core::ByteView(message).subspan(1024, 100)), ufp::kSecureFlash);
  CHECK(refused->status.value() == 0x0010);
  CHECK(bench.header(parts.headers) == 0);
}

TEST_CASE("a UFP device that trusts the image takes one whose hashes are wrong") {
  auto options = ufp_options();
  options.trusts_image = true;
  options.check_catalog = [](const ffu::Image&) { return false; };
  Bench bench(options);
  Parts parts;
  parts.image.file[parts.image.payload_offset + 5] ^= 1;
  CHECK(bench.header(parts.headers) == 0);
  CHECK(bench.payload(parts.payload) == 0);
  CHECK(bench.device->completed_images() == 1);
}

TEST_CASE("a UFP device with a bad sector refuses the image that needs it") {
  auto options = ufp_options();
  options.faults.bad_sector = 512;
  Bench bench(options);
  const Parts parts;
  CHECK(bench.header(parts.headers) == 0);
  CHECK(bench.payload(parts.payload) == 0x0004);
  CHECK(bench.device->completed_images() == 0);
}

TEST_CASE("a UFP reply that stalls is lost, and the next one comes once the halt is cleared") {
  auto options = ufp_options();
  options.faults.reply_at = virtual_device::UfpFaults::ReplyAt{1, virtual_device::UfpFaults::Reply::stall};
  const Bench bench(options);
  core::ByteBuffer buffer(512);
  const auto hello = core::as_bytes(ufp::kHello);
  REQUIRE(bench.device->receive(hello) == VirtualUfpDevice::Outcome::taken);
  CHECK(bench.device->reply(buffer).kind == VirtualUfpDevice::Reply::Kind::stall);
  CHECK(bench.device->reply(buffer).kind == VirtualUfpDevice::Reply::Kind::stall);
  bench.device->clear_halt();
  CHECK(bench.device->reply(buffer).kind == VirtualUfpDevice::Reply::Kind::none);
  REQUIRE(bench.device->receive(hello) == VirtualUfpDevice::Outcome::taken);
  CHECK(bench.device->reply(buffer).size == hello.size());
}

TEST_CASE("a slow UFP device has the link for as long as its writing takes, and others for as long as the bytes do") {
  auto options = ufp_options();
  options.faults.slow_write = 1000;
  options.bytes_per_second = 4000;
  options.latency = std::chrono::milliseconds(500);
  Bench bench(options);
  const Parts parts;
  CHECK(bench.device->link_time(2000).count() == Approx(1.0));
  CHECK(bench.header(parts.headers) == 0);
  CHECK(bench.device->link_time(2000).count() == Approx(2.5));
}
