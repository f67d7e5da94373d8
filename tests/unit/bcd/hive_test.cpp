// SPDX-License-Identifier: GPL-3.0-or-later
// Hives: what is written reads back equal here and in hivexsh, and no damage does more than give an error.
#include <catch2/catch.hpp>

#include <algorithm>

#include "bcd_fixtures.hpp"
#include "flash/bcd/errors.hpp"
#include "flash/bcd/hive.hpp"
#include "flash/bcd/store.hpp"
#include "flash/core/atomic_file.hpp"
#include "flash/core/process.hpp"

using namespace imprint;
using namespace imprint::bcd;
using namespace imprint::bcd::fixtures;

namespace {

RegistryValue dword(std::uint8_t value) { return {kRegDword, {value, 0, 0, 0}}; }

void mend_checksum(core::ByteBuffer& hive) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < 0x1FC; i += 4) sum ^= core::load_le<std::uint32_t>(hive.data() + i);
  core::store_le(hive.data() + 0x1FC, sum);
}

// A store with one object of one element, the value as the registry holds it.
core::ByteBuffer hive_with(const std::string& element, RegistryValue value,
                           const std::string& object = objects::mmos().braced()) {
  HiveKey key{object, {}, {{"Description", {{"Type", dword(3)}}, {}}, {"Elements", {}, {}}}};
  key.subkeys[1].subkeys.push_back({element, {{"Element", std::move(value)}}, {}});
  return write_hive({"NewStoreRoot", {}, {{"Objects", {}, {key}}}});
}

Element read_one(const std::string& element, RegistryValue value) {
  const auto store = Store::read(hive_with(element, std::move(value)));
  REQUIRE(store);
  return store->objects().at(0).elements.at(0);
}

std::string error_of(core::ByteView hive) {
  const auto store = Store::read(hive);
  return store ? "" : std::string(store.error().id());
}

std::string hivexsh(const core::ByteBuffer& hive, const std::string& commands) {
  const TemporaryFolder folder;
  REQUIRE(core::write_file(folder.path() / "bcd", hive));
  REQUIRE(core::write_file(folder.path() / "commands", core::as_bytes(commands)));
  core::SystemProcessRunner runner;
  const auto output =
      runner.run({{"hivexsh", "-f", (folder.path() / "commands").string(), (folder.path() / "bcd").string()},
                  {},
                  std::chrono::seconds(20)});
  REQUIRE(output);
  return *output;
}

}  // namespace

TEST_CASE("A store that is written reads back equal") {
  const Store store = sample_store();
  const auto hive = store.to_hive();
  REQUIRE(hive);
  const auto again = Store::read(*hive);
  REQUIRE(again);
  CHECK(*again == store);
}

TEST_CASE("An empty store is written and read") {
  const auto hive = Store{}.to_hive();
  REQUIRE(hive);
  CHECK(hive->size() == 8192);
  const auto again = Store::read(*hive);
  REQUIRE(again);
  CHECK(again->objects().empty());
}

TEST_CASE("The same store gives the same bytes however it was put together") {
  Store reversed;
  const Store store = sample_store();
  for (auto object = store.objects().rbegin(); object != store.objects().rend(); ++object) {
    Object& copy = reversed.object(object->id, object->type);
    for (auto element = object->elements.rbegin(); element != object->elements.rend(); ++element) {
      copy.set(element->id, element->value);
    }
  }
  CHECK(store.to_hive().value() == reversed.to_hive().value());
  CHECK(store.to_hive().value() == store.to_hive().value());
}

TEST_CASE("A store of thousands of objects is written over many bins and read back equal") {
  Store store;
  for (int i = 0; i < 1300; ++i) {
    Object& object = store.object(core::Guid::from_name(std::to_string(i)), 0x101FFFFF);
    object.set(0x12000004, std::string(static_cast<std::size_t>(i), 'x'));
  }
  Object& large = store.object(core::Guid{}, 0x10200003);
  for (std::uint32_t i = 0; i < 1000; ++i) large.set(0x25000000 + i, std::uint64_t{i});
  large.set(0x12000030, std::string(30000, 'y'));
  const auto hive = store.to_hive();
  REQUIRE(hive);
  const auto again = Store::read(*hive);
  REQUIRE(again);
  CHECK((*again == store));
}

TEST_CASE("hivexsh opens the hive that is written and sees the shape of a BCD store") {
  const auto hive = sample_store().to_hive();
  REQUIRE(hive);
  const std::string output =
      hivexsh(*hive,
              "ls\ncd \\Description\nlsval\ncd \\Objects\nls\n"
              "cd \\Objects\\{a5935ff2-32ba-4617-bf36-5ac314b3f9bf}\\Description\nlsval\n"
              "cd \\Objects\\{9dea862c-5cdd-4e70-acc1-f32b344d4795}\\Elements\\25000004\nlsval\n");
  CHECK(output.find("Description\nObjects\n") != std::string::npos);
  CHECK(output.find("\"KeyName\"=\"BCD00000000\"") != std::string::npos);
  CHECK(output.find("\"System\"=dword:00000001") != std::string::npos);
  CHECK(output.find("\"TreatAsSystem\"=dword:00000001") != std::string::npos);
  CHECK(output.find("{9dea862c-5cdd-4e70-acc1-f32b344d4795}\n{a5935ff2-32ba-4617-bf36-5ac314b3f9bf}") !=
        std::string::npos);
  CHECK(output.find("\"Type\"=dword:10200003") != std::string::npos);
  CHECK(output.find("\"Element\"=hex(3):1e,00,00,00,00,00,00,00") != std::string::npos);
}

TEST_CASE("Integers of one to eight bytes are read") {
  CHECK(read_one("25000004", {kRegBinary, {0x1E}}).value == Value(std::uint64_t{30}));
  CHECK(read_one("250000f5", {kRegBinary, {0x00, 0xC2, 0x01}}).value == Value(std::uint64_t{115200}));
  CHECK(read_one("25000004", {kRegBinary, core::ByteBuffer(8, 0xFF)}).value == Value(~std::uint64_t{0}));
}

TEST_CASE("Values that do not fit their format are kept as bytes and written the same") {
  const core::ByteBuffer odd = {1, 2, 3};
  const std::vector<std::pair<std::string, RegistryValue>> values = {
      {"11000001", {kRegBinary, odd}},
      {"12000004", {kRegSz, odd}},
      {"12000004", {kRegSz, {0x00, 0xD8, 0x41, 0x00}}},
      {"12000004", {kRegSz, {0x41, 0, 0, 0, 0x42, 0}}},
      {"12000004", {kRegBinary, utf16("text")}},
      {"23000003", {kRegSz, utf16("{not-a-guid}")}},
      {"23000003", {kRegSz, {}}},
      {"14000006", {kRegMultiSz, utf16("{9dea862c-5cdd-4e70-acc1-f32b344d4795")}},
      {"14000006", {kRegSz, utf16("{9dea862c-5cdd-4e70-acc1-f32b344d4795}")}},
      {"25000004", {kRegBinary, {}}},
      {"25000004", {kRegBinary, core::ByteBuffer(9)}},
      {"25000004", {kRegDword, {1, 0, 0, 0}}},
      {"26000010", {kRegBinary, {1, 0}}},
      {"27000030", {kRegBinary, core::ByteBuffer(12)}},
      {"2f000001", {kRegBinary, odd}},
      {"25000004", {0x40000, odd}},
  };
  for (const auto& [id, value] : values) {
    const Element element = read_one(id, value);
    CHECK(element.value == Value(value.bytes));
    Store store;
    store.object(objects::mmos(), 3).elements.push_back(element);
    CHECK(Store::read(store.to_hive().value()).value() == store);
  }
}

TEST_CASE("A text may end in more than one NUL or in none") {
  CHECK(read_one("12000004", {kRegSz, joined(utf16("text"), {0, 0})}).value == Value(std::string("text")));
  CHECK(read_one("12000004", {kRegSz, {0x41, 0}}).value == Value(std::string("A")));
}

TEST_CASE("An element key without a value is there with no bytes") {
  HiveKey key{objects::mmos().braced(),
              {},
              {{"Description", {{"Type", dword(3)}}, {}}, {"Elements", {}, {{"11000001", {}, {}}}}}};
  const auto store = Store::read(write_hive({"NewStoreRoot", {}, {{"Objects", {}, {key}}}}));
  REQUIRE(store);
  CHECK(store->objects()[0].elements[0].value == Value(core::ByteBuffer{}));
}

TEST_CASE("An object without elements is read") {
  HiveKey key{objects::mmos().braced(), {}, {{"Description", {{"Type", dword(3)}}, {}}}};
  const auto store = Store::read(write_hive({"System", {}, {{"Objects", {}, {key}}}}));
  REQUIRE(store);
  CHECK(store->objects()[0].type == 3);
}

TEST_CASE("Bytes that are no hive are told from a hive that is damaged") {
  CHECK(error_of({}) == "bcd.not-a-hive");
  CHECK(error_of(bytes_of("00*4096")) == "bcd.not-a-hive");
  CHECK(error_of(core::as_bytes("regf")) == "bcd.damaged");
}

TEST_CASE("A hive without objects is not a store") {
  CHECK(error_of(write_hive({"System", {}, {{"ControlSet001", {}, {}}}})) == "bcd.not-a-store");
}

TEST_CASE("Objects and elements whose names or types are wrong are damage, not left out") {
  CHECK(error_of(hive_with("11000001", {}, "{no-guid}")) == "bcd.damaged");
  CHECK(error_of(hive_with("1100000", {})) == "bcd.damaged");
  CHECK(error_of(hive_with("1100000g", {})) == "bcd.damaged");
  CHECK(error_of(write_hive({"R", {}, {{"Objects", {}, {{objects::mmos().braced(), {}, {}}}}}})) == "bcd.damaged");
  const HiveKey untyped{objects::mmos().braced(), {}, {{"Description", {}, {}}}};
  CHECK(error_of(write_hive({"R", {}, {{"Objects", {}, {untyped}}}})) == "bcd.damaged");
  const HiveKey typed{objects::mmos().braced(), {}, {{"Description", {{"Type", dword(3)}}, {}}}};
  CHECK(error_of(write_hive({"R", {}, {{"Objects", {}, {typed, typed}}}})) == "bcd.damaged");
}

TEST_CASE("A hive that is cut off at any byte is refused") {
  const auto hive = sample_store().to_hive().value();
  for (std::size_t size = 0; size < hive.size(); ++size) {
    if (size > 5000 && size % 97 != 0) continue;
    const std::string id = error_of(core::ByteView(hive).first(size));
    CHECK((id == "bcd.not-a-hive" || id == "bcd.damaged"));
  }
}

TEST_CASE("Bytes after the hive do not matter") {
  auto hive = sample_store().to_hive().value();
  hive.resize(hive.size() + 5000, 0xAA);
  CHECK(Store::read(hive).value() == sample_store());
}

TEST_CASE("A hive with any byte flipped is read or refused, and what is read can be written") {
  Store small;
  small.object(objects::mmos(), 0x10200003).set(0x11000001, ramdisk_device());
  small.object(objects::mmos(), 0x10200003).set(0x14000006, std::vector<core::Guid>{objects::boot_loader_settings()});
  const auto hive = small.to_hive().value();
  for (std::size_t i = 0; i < hive.size(); ++i) {
    if (i >= 512 && i < 4096) continue;  // the unused rest of the base block
    for (const std::uint8_t mask : {0xFF, 0x01, 0x80}) {
      auto flipped = hive;
      flipped[i] ^= mask;
      if (i < 0x1FC) mend_checksum(flipped);
      const auto store = Store::read(flipped);
      if (store) {
        CHECK(store->to_hive().has_value());
      } else {
        CHECK(store.error().id().starts_with("bcd."));
      }
    }
  }
}

TEST_CASE("Sizes in the base block that do not fit the file are refused") {
  for (const std::uint32_t size : {0U, 4095U, 8192U, 0xFFFFF000U}) {
    auto hive = Store{}.to_hive().value();
    core::store_le(hive.data() + 0x28, size);
    mend_checksum(hive);
    CHECK(error_of(hive) == "bcd.damaged");
  }
}

TEST_CASE("A base block whose checksum is wrong is refused") {
  auto hive = Store{}.to_hive().value();
  hive[0x1FC] ^= 1;
  CHECK(error_of(hive) == "bcd.damaged");
}

TEST_CASE("A hive larger than any store is refused before it is copied") {
  auto hive = Store{}.to_hive().value();
  hive.resize(4096 + (17U << 20));
  core::store_le(hive.data() + 0x28, std::uint32_t{17U << 20});
  mend_checksum(hive);
  CHECK(error_of(hive) == "bcd.damaged");
}

TEST_CASE("A text that is not UTF-8 is not written") {
  for (const Value& value :
       {Value(std::string("\xFF")), Value(std::string("a\0b", 3)), Value(Device{{}, Ramdisk{nullptr, "\xC3"}})}) {
    Store store;
    store.object(objects::mmos(), 3).set(0x12000004, value);
    const auto hive = store.to_hive();
    REQUIRE_FALSE(hive);
    CHECK(hive.error().id() == "bcd.write-failed");
    CHECK(hive.error().context_value("element") == "12000004");
  }
}

TEST_CASE("A value or a store that is too large is not written") {
  Store store;
  store.object(objects::mmos(), 3).set(0x12000004, core::ByteBuffer((1U << 20) + 1));
  CHECK(store.to_hive().error().id() == "bcd.write-failed");
  store.object(objects::mmos(), 3).set(0x12000004, core::ByteBuffer(1U << 20));
  CHECK(Store::read(store.to_hive().value()).value() == store);
  for (std::uint32_t i = 0; i < 9; ++i)
    store.object(objects::mmos(), 3).set(0x12000010 + i, core::ByteBuffer(1U << 20));
  CHECK(store.to_hive().error().id() == "bcd.write-failed");
}
