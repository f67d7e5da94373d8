// SPDX-License-Identifier: GPL-3.0-or-later
// The commands beside the image: skip, mass storage, boot mode, id override, writing the disk.
#include "devices/protocol/simple_io_connection.hpp"
#include "tests/unit/devices/device_fixture.hpp"

using namespace imprint;
using namespace imprint::fixture;
using devices::SimpleIoTarget;
using simple_io::Connection;
using virtual_device::AnswerFault;

namespace {

struct ScriptedConnection {
  std::shared_ptr<Script> script = std::make_shared<Script>();
  Connection connection{std::make_unique<ScriptedTransport>(script)};
};

}  // namespace

TEST_CASE("a device that is told to skip leaves, with its disk as it was") {
  const auto device = make_device();
  SimpleIoTarget target(connect(device));
  REQUIRE(target.skip());
  CHECK(error_id(target.identify()) == "device.disconnected");
  CHECK(device->storage()->written().empty());
  CHECK(device->mode() == VirtualSimpleIoDevice::Mode::simple_io);
}

TEST_CASE("a device that is switched to mass storage comes back as a disk, and then as itself") {
  const auto device = make_device();
  const auto cable = cable_to(device);
  SimpleIoTarget target(connect(cable));
  REQUIRE(target.mass_storage());
  CHECK(error_id(target.identify()) == "device.disconnected");
  cable->unplug();
  CHECK(device->mode() == VirtualSimpleIoDevice::Mode::mass_storage);
  CHECK(device->usb_identity().interface_class == 0x08);
  CHECK(error_id(SimpleIoTarget(connect(device)).identify()) == "device.timed-out");
  device->power_cut();
  CHECK(device->usb_identity().product_id == simple_io::kProductId);
  CHECK(SimpleIoTarget(connect(device)).identify());
}

TEST_CASE("a boot mode reaches the device with its profile") {
  const auto device = make_device();
  SimpleIoTarget target(connect(device));
  REQUIRE(target.boot_mode(3, "Werk-\xC3\xA4"));
  REQUIRE(device->boot_mode());
  CHECK(device->boot_mode()->mode == 3);
  CHECK(device->boot_mode()->profile == "Werk-\xC3\xA4");
}

TEST_CASE("a profile of 63 characters fits, and one more does not") {
  const auto device = make_device();
  SimpleIoTarget target(connect(device));
  CHECK(target.boot_mode(1, std::string(63, 'p')));
  CHECK(device->boot_mode()->profile.size() == 63);
  CHECK(error_id(target.boot_mode(2, std::string(64, 'p'))) == "device.boot-mode-refused");
  CHECK(error_id(target.boot_mode(2, "\xff")) == "device.boot-mode-refused");
  CHECK(device->boot_mode()->mode == 1);
}

TEST_CASE("a boot mode is set only when the device's status is 0") {
  ScriptedConnection s;
  const auto status = GENERATE(0x80000015U, 0x80000002U, 1U);
  core::ByteBuffer answer(4);
  core::store_le(answer.data(), status);
  s.script->answers.assign({answer});
  const auto done = s.connection.set_boot_mode(1, "x");
  REQUIRE(error_id(done) == "device.boot-mode-refused");
  CHECK(done.error().context_value("status") == std::to_string(status));
  REQUIRE(s.script->sent.size() == 2);
  CHECK(s.script->sent[1].size() == 132);
}

TEST_CASE("the override of a device's id can be cleared") {
  auto options = device_options();
  options.id_override = "Somebody.Elses.Board.9";
  Connection connection(connect(make_device(options)));
  CHECK(connection.id()->platform_id == "Somebody.Elses.Board.9");
  const auto id = connection.clear_id_override();
  REQUIRE(id);
  CHECK(id->platform_id == "Imprint.Virtual.Board.1");
}

TEST_CASE("an answer that is no Ack is no success") {
  ScriptedConnection s;
  const auto call = [&](int which) -> core::Status {
    if (which == 0) return s.connection.skip();
    if (which == 1) return s.connection.switch_to_mass_storage();
    IMPRINT_CHECK(s.connection.clear_id_override());
    return {};
  };
  const int which = GENERATE(0, 1, 2);
  SECTION("Err") {
    s.script->answers.assign({one(Opcode::error)});
    CHECK(error_id(call(which)) == "device.unsupported-command");
  }
  SECTION("Nack") {
    s.script->answers.assign({one(Opcode::nack)});
    CHECK(error_id(call(which)) == "device.protocol-violation");
  }
  SECTION("two bytes") {
    s.script->answers.assign({core::ByteBuffer{3, 3}});
    CHECK(error_id(call(which)) == "device.protocol-violation");
  }
  SECTION("silence") { CHECK(error_id(call(which)) == "device.timed-out"); }
}

TEST_CASE("a command that the device does not know is not sent") {
  auto options = device_options();
  options.without = {Opcode::skip, Opcode::mass_storage, Opcode::set_boot_mode};
  const auto device = make_device(options);
  SimpleIoTarget target(connect(device));
  CHECK(error_id(target.skip()) == "device.unsupported-command");
  CHECK(error_id(target.mass_storage()) == "device.unsupported-command");
  CHECK(error_id(target.boot_mode(1, "")) == "device.unsupported-command");
  CHECK(target.identify());
}

TEST_CASE("what is written to the disk is there, and nothing beside it") {
  auto options = device_options();
  SECTION("in one piece") {}
  SECTION("in several") { options.disk_transfer_size = 4096; }
  SECTION("in pieces that are no multiple of a USB packet") { options.disk_transfer_size = 1000; }
  const auto device = make_device(options);
  Connection connection(connect(device));
  const auto disk = connection.disk();
  REQUIRE(disk);
  core::ByteBuffer data(20480);
  for (std::size_t i = 0; i < data.size(); ++i) data[i] = static_cast<std::uint8_t>(i * 7);
  REQUIRE(connection.write_disk(*disk, 1024, data));
  CHECK(device->storage()->read(1024, data.size()) == data);
  CHECK(device->storage()->written().total() == data.size());
  core::ByteBuffer back(data.size());
  REQUIRE(connection.read_disk(*disk, 1024, back));
  CHECK(back == data);
}

TEST_CASE("a piece that fills its last USB packet is followed by an empty transfer") {
  ScriptedConnection s;
  core::ByteBuffer written(8);
  core::store_le(written.data(), std::uint64_t{1536});
  s.script->answers.assign({written});
  REQUIRE(s.connection.write_disk({{512, 1U << 20}, 1000}, 0, core::ByteBuffer(1536, 1)));
  std::vector<std::size_t> sizes;
  for (const core::ByteBuffer& sent : s.script->sent) sizes.push_back(sent.size());
  CHECK(sizes == std::vector<std::size_t>{1, 16, 1000, 536});
  s.script->sent.clear();
  s.script->answers.assign({written});
  REQUIRE(s.connection.write_disk({{512, 1U << 20}, 1024}, 0, core::ByteBuffer(1536, 1)));
  sizes.clear();
  for (const core::ByteBuffer& sent : s.script->sent) sizes.push_back(sent.size());
  CHECK(sizes == std::vector<std::size_t>{1, 16, 1024, 0, 512, 0});
}

TEST_CASE("a disk that does not take everything is device.disk-write-failed, and the device stays in step") {
  auto options = device_options();
  options.faults.bad_sector = 1024;
  options.disk_transfer_size = 512;
  Connection connection(connect(make_device(options)));
  const auto disk = connection.disk();
  REQUIRE(disk);
  const auto done = connection.write_disk(*disk, 0, core::ByteBuffer(2048, 1));
  REQUIRE(error_id(done) == "device.disk-write-failed");
  CHECK(done.error().context_value("actual") == "1024");
  CHECK(error_id(connection.write_disk(*disk, 4U << 20, core::ByteBuffer(512))) == "device.disk-write-failed");
  CHECK(connection.id());
}

TEST_CASE("a packet that came damaged is sent again until it is taken, and the device's complaints are kept") {
  auto options = device_options();
  options.faults.answer = AnswerFault{.kind = AnswerFault::Kind::wrong_crc, .at_byte = 300000, .times = 3};
  const auto device = make_device(options);
  SimpleIoTarget target(connect(device));
  MemoryStream image(small_image().file);
  RecordingObserver observer;
  REQUIRE(target.flash(image, observer, {}));
  CHECK(observer.log == std::vector<std::string>(3, "a packet came damaged"));
}

TEST_CASE("a packet that is refused more often than it is sent again fails the flash, with the device's log") {
  auto options = device_options();
  options.faults.answer = AnswerFault{.kind = AnswerFault::Kind::wrong_crc, .times = 11};
  SimpleIoTarget target(connect(make_device(options)));
  MemoryStream image(small_image().file);
  RecordingObserver observer;
  const auto done = target.flash(image, observer, {});
  REQUIRE(error_id(done) == "device.packet-not-accepted");
  CHECK(done.error().context_value("device_log").starts_with("a packet came damaged | a packet"));
}

TEST_CASE("damage on the fast flow, which has no resends, ends it") {
  auto options = fast_device_options();
  options.faults.answer = AnswerFault{.kind = AnswerFault::Kind::wrong_crc};
  SimpleIoTarget target(connect(make_device(options)));
  MemoryStream image(small_image().file);
  RecordingObserver observer;
  const auto done = target.flash(image, observer, {});
  REQUIRE(error_id(done) == "device.flash-failed");
  CHECK(done.error().context_value("device_error") == "14");
}

TEST_CASE("an answer that goes wrong is never taken for a good one") {
  using Kind = AnswerFault::Kind;
  const auto command = GENERATE(Opcode::id, Opcode::serial_number, Opcode::get_disk_info, Opcode::query_for_command);
  const auto kind = GENERATE(Kind::stall, Kind::short_reply, Kind::garbage, Kind::no_reply);
  auto options = device_options();
  options.faults.answer = AnswerFault{
      .kind = kind, .to_command = command, .times = 3};  // and again, and what the device complains of between
  SimpleIoTarget target(connect(make_device(options)));
  const auto identity = target.identify();
  REQUIRE_FALSE(identity);
  CHECK((error_id(identity) == "device.stalled" || error_id(identity) == "device.timed-out" ||
         error_id(identity) == "device.protocol-violation"));
}

TEST_CASE("an Id that goes wrong once is asked again") {
  const auto kind = GENERATE(AnswerFault::Kind::stall, AnswerFault::Kind::short_reply, AnswerFault::Kind::garbage,
                             AnswerFault::Kind::no_reply);
  auto options = device_options();
  options.faults.answer = AnswerFault{.kind = kind, .to_command = Opcode::id};
  SimpleIoTarget target(connect(make_device(options)));
  const auto identity = target.identify();
  REQUIRE(identity);
  CHECK(identity->serial == core::Guid::from_name("serial").to_string());
}

TEST_CASE("a device that does not know the question which commands it knows is taken to know what it would without") {
  ScriptedConnection s;
  s.script->answers.assign({id_answer(0, 1), one(Opcode::error), one(Opcode::error)});
  REQUIRE(s.connection.id());
  CHECK(s.connection.knows(Opcode::read_disk) == true);
  CHECK(s.connection.knows(Opcode::fast_flash) == false);
}

namespace {

struct ReadBack {
  std::shared_ptr<VirtualSimpleIoDevice> device;
  SimpleIoTarget target;
  std::shared_ptr<const core::BlockSource> disk;
  core::ByteBuffer expected;

  explicit ReadBack(std::size_t transfer_size = 4096) : device(make(transfer_size)), target(connect(device)) {
    REQUIRE(target.identify());
    disk = *target.open_disk();
    expected = disk_of(*device);
  }
  static std::shared_ptr<VirtualSimpleIoDevice> make(std::size_t transfer_size) {
    auto options = device_options();
    options.disk_transfer_size = static_cast<std::uint32_t>(transfer_size);
    auto device = make_device(options);
    core::ByteBuffer contents(65536);
    for (std::size_t i = 0; i < contents.size(); ++i) contents[i] = static_cast<std::uint8_t>(i / 512 + i);
    REQUIRE(device->storage()->write_at(0, contents));
    return device;
  }
  void fail_reads(AnswerFault::Kind kind, unsigned times) {
    device->set_faults({.answer = AnswerFault{.kind = kind, .to_command = Opcode::read_disk, .times = times}});
  }
  bool reads_right(std::uint64_t offset) {
    const auto bytes = disk->read(offset, 16384);
    INFO((bytes ? "" : bytes.error().message()));
    return bytes && std::equal(bytes->begin(), bytes->end(), expected.begin() + static_cast<std::ptrdiff_t>(offset));
  }
};

}  // namespace

TEST_CASE("a read of the disk that fails while the device is there is repeated once") {
  const auto kind = GENERATE(AnswerFault::Kind::stall, AnswerFault::Kind::short_reply, AnswerFault::Kind::no_reply);
  ReadBack line(GENERATE(4096U, 1000U));
  line.fail_reads(kind, 1);
  CHECK(line.reads_right(8192));
  CHECK(line.reads_right(0));
  CHECK(line.target.recoveries() == 0);
}

TEST_CASE("what a failed read of the disk left in the pipe is no part of the next one") {
  ReadBack line;
  const auto happened = std::make_shared<bool>(false);
  std::uint64_t healed = 0;
  for (std::uint64_t call = 1;; ++call) {
    *happened = false;
    const auto transport = std::make_shared<SimpleIoTarget>(std::make_unique<virtual_device::FaultyTransport>(
        connect(line.device), virtual_device::FaultPlan{TransportFault::time_out, call}, happened));
    const auto disk = transport->open_disk();
    if (!disk) continue;
    const bool before = *happened;
    const auto first = (*disk)->read(8192, 16384);
    const auto second = (*disk)->read(0, 16384);
    INFO("call " << call);
    if (first) CHECK(std::equal(first->begin(), first->end(), line.expected.begin() + 8192));
    REQUIRE(second);
    CHECK(std::equal(second->begin(), second->end(), line.expected.begin()));
    if (!*happened) break;
    if (!before && first) ++healed;
  }
  CHECK(healed > 4);
}

TEST_CASE("a read of the disk that fails twice is an error, and the next one reads what it asks for") {
  const auto kind = GENERATE(AnswerFault::Kind::stall, AnswerFault::Kind::short_reply, AnswerFault::Kind::no_reply);
  ReadBack line;
  line.fail_reads(kind, 3);  // what it complains of between is the third
  const auto read = line.disk->read(8192, 16384);
  REQUIRE_FALSE(read);
  CHECK((error_id(read) == "device.stalled" || error_id(read) == "device.timed-out"));
  CHECK(read.error().context_value("offset") == "8192");
  CHECK(line.reads_right(0));
}

TEST_CASE("a disk whose device answers as another one after a failed read is not read on") {
  auto script = std::make_shared<Script>();
  SimpleIoTarget target(std::make_unique<ScriptedTransport>(script));
  script->answers.assign({id_answer(), disk_answer(16376, 512, 99)});
  const auto disk = target.open_disk();
  REQUIRE(disk);
  script->stall_write = script->sent.size();
  CHECK(error_id((*disk)->read(0, 512)) == "device.stalled");
  script->stall_write.reset();
  script->serial[0] = 2;
  script->answers.assign({id_answer(), core::ByteBuffer(512, 9)});
  CHECK(error_id((*disk)->read(0, 512)) == "device.identity-changed");
  CHECK(error_id((*disk)->read(0, 512)) == "device.identity-changed");
}
