// SPDX-License-Identifier: GPL-3.0-or-later
// Real stores and settings, where IMPRINT_SAMPLES names a folder of them. They are not part of the product.
#include <catch2/catch.hpp>

#include <cstdlib>
#include <optional>

#include "bcd_fixtures.hpp"
#include "flash/bcd/boot_configuration.hpp"
#include "flash/core/text.hpp"

using namespace imprint;
using namespace imprint::bcd;
using namespace imprint::bcd::fixtures;

namespace {

std::optional<std::filesystem::path> samples() {
  const char* folder = std::getenv("IMPRINT_SAMPLES");  // NOLINT(concurrency-mt-unsafe): one thread
  if (folder != nullptr && std::filesystem::is_directory(folder)) return folder;
  WARN("skipped: IMPRINT_SAMPLES is not set");
  return std::nullopt;
}

std::vector<std::filesystem::path> hives(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> out;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder / "bcd")) {
    if (!entry.is_regular_file()) continue;
    const auto bytes = file_bytes(entry.path());
    if (bytes.size() >= 4096 && core::as_text(core::ByteView(bytes).first(4)) == "regf") {
      const std::string extension = core::to_lower_ascii(entry.path().extension().string());
      if (!extension.starts_with(".log")) out.push_back(entry.path());
    }
  }
  return out;
}

}  // namespace

TEST_CASE("Every sample store reads, and reads the same after being written") {
  const auto folder = samples();
  if (!folder) return;
  const auto files = hives(*folder);
  CHECK_FALSE(files.empty());
  for (const auto& path : files) {
    INFO(path.string());
    const auto store = Store::read(file_bytes(path));
    if (!store) FAIL(store.error().message());
    const auto hive = store->to_hive();
    REQUIRE(hive);
    const auto again = Store::read(*hive);
    REQUIRE(again);
    CHECK((*again == *store));
  }
}

TEST_CASE("No value of a sample store is left undecoded but a device or element that is truly empty or foreign") {
  const auto folder = samples();
  if (!folder) return;
  for (const auto& path : hives(*folder)) {
    const auto store = Store::read(file_bytes(path));
    REQUIRE(store);
    for (const Object& object : store->objects()) {
      for (const Element& element : object.elements) {
        INFO(path.string() << " " << object.id.to_string() << " " << std::hex << element.id);
        CHECK_FALSE(std::holds_alternative<core::ByteBuffer>(element.value));
        const auto* device = std::get_if<Device>(&element.value);
        if (device != nullptr) CHECK_FALSE(std::holds_alternative<UnknownDevice>(device->kind));
      }
    }
  }
}

TEST_CASE("Every sample of BCD settings merges into an empty store") {
  const auto folder = samples();
  if (!folder) return;
  std::size_t count = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(*folder)) {
    if (!entry.is_regular_file() || entry.path().extension() != ".xml") continue;
    const auto bytes = file_bytes(entry.path());
    const std::string_view xml = core::as_text(bytes);
    if (xml.find("<BootConfigurationDatabase") == std::string_view::npos) continue;
    INFO(entry.path().string());
    const bool gpt = xml.find("<MBRDevice>") == std::string_view::npos;
    Store store;
    const auto status =
        merge_boot_configuration(store, xml, entry.path().string(), [&](std::string_view) -> std::optional<Device> {
          return gpt ? gpt_device() : Device{{}, MbrPartition{0xAE420040, 0x100000}};
        });
    if (!status) FAIL(status.error().message());
    CHECK_FALSE(store.objects().empty());
    CHECK(Store::read(store.to_hive().value()).value() == store);
    if (const Object* mmos = store.find(objects::mmos())) {
      CHECK(mmos->type == 0x10200003);
      CHECK(mmos->find(0x26000022)->value == Value(true));
      CHECK(std::get<Device>(mmos->find(0x21000001)->value).options == objects::ramdisk_options());
    }
    ++count;
  }
  CHECK(count > 0);
}
