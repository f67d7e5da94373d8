// SPDX-License-Identifier: GPL-3.0-or-later
// Every key of a product's file that the engine is to follow arrives there.
#include "station/line/recipe_of.hpp"

#include <catch2/catch.hpp>
#include <fstream>
#include <set>
#include <sstream>
#include <string>

#include "tests/unit/fixtures/scratch_folder.hpp"

using namespace imprint;
using namespace imprint::station;
using namespace std::chrono_literals;

namespace {

constexpr std::string_view kHead = R"(
product = "lamp"
[image]
digest = "1111111111111111111111111111111111111111111111111111111111111111"
[serial]
source = "device"
)";

constexpr std::string_view kFull = R"(
[flash]
protocols = ["disk"]
read-back = "where-possible"
write = "differing"
erase = "zero"
verify-erasure = true
rework-erase = "secure-discard"
refit-gpt = true
after-pass = "power-off"
reboot-time = "41 s"
[retries]
count = 3
errors = ["device.disconnected", "device.nack"]
[deadlines]
identify = "42 s"
scan = "43 s"
admit = "44 s"
erase = "45 s"
write = "46 s"
confirm = "47 s"
read-back = "48 s"
inspect = "49 s"
finish = "50 s"
[pace]
least = "5 MiB"
within = "51 s"
[start]
at-once = 6
stagger = "52 s"
)";

config::ProductFile product_of(std::string_view text, const std::filesystem::path& file = "lamp.toml") {
  auto parsed = config::parse_product_file(std::string(kHead) + std::string(text), file);
  for (const auto& complaint : parsed.complaints) UNSCOPED_INFO(complaint.to_line());
  REQUIRE(parsed.value.has_value());
  return std::move(*parsed.value);
}

Recipe recipe(std::string_view text) {
  auto made = line::recipe_of(product_of(text));
  REQUIRE(made.has_value());
  return std::move(*made);
}

Recipe flash(const std::string& text) { return recipe("[flash]\nprotocols = [\"disk\"]\n" + text + "\n"); }

std::set<std::string> settings(const config::ProductFile& product) {
  std::istringstream text(product.normalised());
  std::set<std::string> lines;
  for (std::string line; std::getline(text, line);)
    for (const char* table : {"flash.", "retries.", "deadlines.", "pace.", "start."})
      if (line.starts_with(table)) lines.insert(line);
  return lines;
}

}  // namespace

TEST_CASE("the file that is tried has every setting of the engine at another value than a product without it") {
  const auto usual = settings(product_of(""));
  for (const std::string& line : settings(product_of(kFull))) {
    CAPTURE(line);
    CHECK_FALSE(usual.contains(line));
  }
}

TEST_CASE("every setting of a product's file arrives in what the engine is told") {
  const Recipe told = recipe(kFull);
  CHECK(told.product == "lamp");
  CHECK(told.flash.read_back == engine::FlashPolicy::ReadBack::where_possible);
  CHECK(told.flash.write_mode == engine::WriteMode::differing);
  CHECK(told.flash.erasure == engine::Erasure::verified);
  CHECK(told.flash.rework_erasure == engine::Erasure::secure_discard);
  CHECK(told.flash.refit_gpt);
  CHECK(told.flash.after_pass == engine::AfterPass::power_off);
  CHECK(told.reboot_time == 41s);
  CHECK(told.flash.retries.times == 3);
  CHECK(told.flash.retries.worth == std::vector<std::string>{"device.disconnected", "device.nack"});
  CHECK(told.flash.limits.identify == 42s);
  CHECK(told.flash.limits.admit == 44s);
  // Erasing and the confirmation happen within the write, whose deadline has room for all three.
  CHECK(told.flash.limits.write == 45s + 46s + 47s);
  CHECK(told.flash.limits.confirm == 47s);
  CHECK(told.flash.limits.read_back == 48s);
  CHECK(told.flash.limits.inspect == 49s);
  CHECK(told.flash.limits.finish == 50s);
  CHECK(told.flash.least_pace.bytes == 5U << 20);
  CHECK(told.flash.least_pace.within == 51s);
  CHECK(told.stagger.starts == 6);
  CHECK(told.stagger.within == 52s);
}

TEST_CASE("each word of a product's file is the engine's word") {
  using engine::AfterPass;
  using engine::Erasure;
  using ReadBack = engine::FlashPolicy::ReadBack;
  for (const ReadBack one : {ReadBack::required, ReadBack::where_possible, ReadBack::off})
    CHECK(flash("read-back = \"" + std::string(engine::to_string(one)) + "\"").flash.read_back == one);
  for (const Erasure one : {Erasure::none, Erasure::discard, Erasure::secure_discard, Erasure::zero})
    CHECK(flash("erase = \"" + std::string(engine::to_string(one)) + "\"").flash.erasure == one);
  for (const Erasure one : {Erasure::secure_discard, Erasure::zero})
    CHECK(flash("rework-erase = \"" + std::string(engine::to_string(one)) + "\"").flash.rework_erasure == one);
  for (const AfterPass one : {AfterPass::nothing, AfterPass::reboot, AfterPass::power_off, AfterPass::mass_storage})
    CHECK(flash("after-pass = \"" + std::string(engine::to_string(one)) + "\"").flash.after_pass == one);
}

TEST_CASE("a product without a pace, and without errors that are worth a retry, has the engine's own") {
  const Recipe told = recipe("");
  CHECK(told.flash.least_pace.bytes == engine::LeastPace{}.bytes);
  CHECK(told.flash.least_pace.within == engine::LeastPace{}.within);
  CHECK(told.flash.retries.worth == engine::Retries{}.worth);
  CHECK(told.flash.retries.times == 0);
  CHECK(told.stagger.starts == 0);
}

TEST_CASE("the rules of a product's file arrive as rules, and a rule file that is not there is said") {
  const fixture::ScratchFolder folder;
  std::ofstream(folder / "layout.xml")
      << "<DeviceLayout xmlns=\"http://schemas.microsoft.com/embedded/2004/10/ImageUpdate\">"
         "<SectorSize>4096</SectorSize><ChunkSize>128</ChunkSize><Partitions><Partition><Name>Data</Name>"
         "<Type>0x07</Type><TotalSectors>2048</TotalSectors></Partition></Partitions></DeviceLayout>\n";
  const auto product = [&](const std::string& rules) { return product_of("[rules]\n" + rules, folder / "lamp.toml"); };
  const auto told = line::recipe_of(product("layout = \"layout.xml\"\nbcd = true\nrecovery = \"winre\"\n"));
  REQUIRE(told.has_value());
  REQUIRE(told->layout.has_value());
  CHECK(told->layout->sector_size == 4096);
  CHECK(told->check_bcd);
  CHECK(told->recovery == inspect::RecoveryProfile::winre);
  CHECK(line::recipe_of(product("recovery = \"iot-mmos\"\n"))->recovery == inspect::RecoveryProfile::iot_mmos);
  CHECK_FALSE(line::recipe_of(product_of(""))->recovery.has_value());
  const auto missing = line::recipe_of(product("layout = \"no-such.xml\"\n"));
  REQUIRE_FALSE(missing.has_value());
  CHECK(missing.error().id().starts_with("io."));
}
