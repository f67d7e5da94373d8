// SPDX-License-Identifier: GPL-3.0-or-later
// Product files: what they say, and what is said of their faults.
#include "station/config/product_file.hpp"

#include <catch2/catch.hpp>
#include <fstream>

#include "flash/core/atomic_file.hpp"
#include "station/config/table_reader.hpp"
#include "tests/unit/fixtures/scratch_folder.hpp"

using namespace imprint;
using namespace imprint::station::config;
using namespace std::chrono_literals;

namespace {

constexpr std::string_view kStart = "product = \"kestrel\"\n[image]\nfile = \"a.ffu\"\n";

Parsed<ProductFile> parse(std::string_view text) { return parse_product_file(text, "folder/kestrel.toml"); }

ProductFile good(std::string_view more) {
  auto parsed = parse(std::string(kStart) + std::string(more));
  for (const Complaint& complaint : parsed.complaints) UNSCOPED_INFO(complaint.to_line());
  REQUIRE(parsed.value);
  CHECK(parsed.complaints.empty());
  return std::move(*parsed.value);
}

// "4:1 config.key-unknown" of each complaint about what follows the start, lines counted from there.
std::vector<std::string> faults(std::string_view more) {
  const auto parsed = parse(std::string(kStart) + std::string(more));
  CHECK_FALSE(parsed.value);
  std::vector<std::string> out;
  for (const Complaint& complaint : parsed.complaints) {
    INFO(complaint.to_line());
    CHECK(complaint.file == "folder/kestrel.toml");
    CHECK_FALSE(complaint.remedy().empty());
    out.push_back(std::to_string(complaint.place.line - 3) + ":" + std::to_string(complaint.place.column) + " " +
                  std::string(complaint.error.id()));
  }
  return out;
}

// What to write instead, of the one complaint.
std::string advice(std::string_view more) {
  const auto parsed = parse(std::string(kStart) + std::string(more));
  REQUIRE(parsed.complaints.size() == 1);
  return parsed.complaints[0].remedy();
}

using Texts = std::vector<std::string>;

}  // namespace

TEST_CASE("a short product file has the safe settings") {
  const ProductFile product = good("");
  CHECK(product.name == "kestrel");
  CHECK(product.image_file == "folder/a.ffu");
  CHECK(product.policy == trust::Policy::retail);
  CHECK(product.read_back == ReadBack::required);
  CHECK(product.write == WriteMode::everything);
  CHECK(product.erase == Erasure::none);
  CHECK(product.after_pass == AfterPass::nothing);
  CHECK(product.serial.source == station::admission::SerialSource::device);
  CHECK(product.retries.count == 0);
  CHECK_FALSE(product.quarantine);
}

TEST_CASE("every setting of a product file is read") {
  const std::string digest(64, 'a');
  const auto parsed = parse("product = \"kestrel\"\ndescription = \"a board\"\n[image]\ndigest = \"sha256:" + digest +
                            "\"\npolicy = \"test\"\n" +
                            R"([rules]
layout = "l.xml"
platform = "/p.xml"
bcd = true
recovery = "winre"
[serial]
source = "scanned"
typed = true
upper-case = true
label-prefix = "1S"
pattern = "K\\d+"
check-digit = "luhn"
label = "fits-platform"
platforms = { "K1" = "A.B.*", K2 = "A.C.1" }
[flash]
protocols = ["disk", "mass-storage"]
read-back = "where-possible"
write = "differing"
erase = "zero"
verify-erasure = true
refit-gpt = true
after-pass = "power-off"
reboot-time = "1 min"
[retries]
count = 2
errors = ["device.disconnected"]
[deadlines]
identify = "5 s"
scan = "2 min"
erase = "3 min"
write = "1 h"
confirm = "7 s"
read-back = "8 s"
inspect = "9 s"
[pace]
least = "2 MiB"
within = "10 s"
[start]
at-once = 3
stagger = "250 ms"
[quarantine]
unit-failures = 2
slot-failures-in-a-row = 0
)");
  for (const Complaint& complaint : parsed.complaints) UNSCOPED_INFO(complaint.to_line());
  REQUIRE(parsed.value);
  const ProductFile& product = *parsed.value;
  CHECK(product.image_digest == digest);
  CHECK(product.policy == trust::Policy::test);
  CHECK(product.layout == "folder/l.xml");
  CHECK(product.platform == "/p.xml");
  CHECK(product.check_bcd);
  CHECK(product.recovery == Recovery::winre);
  CHECK(product.serial.may_be_typed);
  CHECK(product.serial.upper_case);
  CHECK(product.serial.label_prefix == "1S");
  CHECK(product.serial.pattern->matches("K12"));
  CHECK(product.serial.check_digit == station::admission::CheckDigit::luhn);
  CHECK(product.serial.platforms.size() == 2);
  CHECK(product.protocols == std::vector{Protocol::disk, Protocol::mass_storage});
  CHECK(product.read_back == ReadBack::where_possible);
  CHECK(product.write == WriteMode::differing);
  CHECK(product.erase == Erasure::zero);
  CHECK(product.verify_erasure);
  CHECK(product.refit_gpt);
  CHECK(product.after_pass == AfterPass::power_off);
  CHECK(product.reboot_time == 1min);
  CHECK(product.retries.count == 2);
  CHECK(product.retries.errors == Texts{"device.disconnected"});
  CHECK(product.deadlines.scan == 2min);
  CHECK(product.deadlines.write == 1h);
  CHECK(product.deadlines.inspect == 9s);
  CHECK(product.least_pace_bytes == 2U << 20);
  CHECK(product.least_pace_within == 10s);
  CHECK(product.starts_at_once == 3);
  CHECK(product.start_stagger == 250ms);
  CHECK(product.quarantine->unit_failures == 2);
  CHECK(product.quarantine->slot_failures_in_a_row == 0);
}

TEST_CASE("all faults of a file are listed with line and column, in the order of the file") {
  CHECK(faults("[flash]\nreadback = \"off\"\nwrite = 7\n[serial]\nsource = \"scaned\"\n[nonsense]\n") ==
        Texts{"2:1 config.key-unknown", "3:9 config.value-invalid", "5:10 config.value-invalid",
              "6:2 config.key-unknown"});
}

TEST_CASE("a key or word that is nearly right is named") {
  CHECK(advice("[flash]\nread_back = \"off\"\n") == "did you mean read-back?");
  CHECK(advice("[flash]\nafterpass = \"reboot\"\n") == "did you mean after-pass?");
  CHECK(advice("[flash]\nafter-pass = \"rebot\"\n") == "did you mean \"reboot\"?");
  CHECK(advice("[serail]\n") == "did you mean serial?");
  CHECK(advice("[flash]\nxyzzy = 1\n") == "take the line away");
  CHECK(advice("[flash]\nread-back = \"sometimes\"\n") == "write \"required\", \"where-possible\" or \"off\"");
}

TEST_CASE("TOML that is none is one fault with its place") {
  const auto parsed = parse("product = \"kestrel\"\n[image\n");
  CHECK_FALSE(parsed.value);
  REQUIRE(parsed.complaints.size() == 1);
  CHECK(parsed.complaints[0].error.id() == "config.toml-malformed");
  CHECK(parsed.complaints[0].place.line == 2);
  CHECK(parsed.complaints[0].to_line().starts_with("folder/kestrel.toml:2:"));
  CHECK(parse("a = 1\na = 2\n").complaints.at(0).place.line == 2);
  CHECK(parse("\n[)\n").complaints.at(0).place.line == 2);
  CHECK(parse("[\x1f(st").complaints.at(0).error.id() == "config.toml-malformed");
  CHECK(parse("\xC3\x94 = 1").complaints.at(0).error.id() == "config.toml-malformed");
  CHECK(parse(std::string("a = \"\0\"", 8)).complaints.at(0).error.id() == "config.toml-malformed");
  CHECK(parse(std::string(2U << 20, '#')).complaints.at(0).error.id() == "config.toml-malformed");
}

TEST_CASE("what has to be there is asked for") {
  const auto empty = parse("");
  REQUIRE(empty.complaints.size() == 2);
  CHECK(empty.complaints[0].error.id() == "config.key-missing");
  CHECK(empty.complaints[0].remedy() == "write product = \"kestrel\"");
  const auto no_image = parse("product = \"k\"\n[image]\n");
  REQUIRE(no_image.complaints.size() == 1);
  CHECK(no_image.complaints[0].error.message().find("image.digest") != std::string::npos);
}

TEST_CASE("values of the wrong kind or out of bounds are refused") {
  for (const char* line : {"[flash]\nread-back = true",
                           "[flash]\nrefit-gpt = \"yes\"",
                           "[flash]\nreboot-time = 30",
                           "[flash]\nreboot-time = \"30\"",
                           "[flash]\nreboot-time = \"-1 s\"",
                           "[flash]\nreboot-time = \"2 h\"",
                           "[flash]\nreboot-time = \"99999999999999999999 d\"",
                           "[flash]\nprotocols = \"ufp\"",
                           "[flash]\nprotocols = []",
                           "[flash]\nprotocols = [\"usb\"]",
                           "[flash]\nprotocols = [1]",
                           "[flash]\nprotocols = [\"ufp\", \"ufp\"]",
                           "[retries]\ncount = -1",
                           "[retries]\ncount = 11",
                           "[retries]\ncount = 1.5",
                           "[deadlines]\nwrite = \"0 s\"",
                           "[deadlines]\nwrite = 1979-05-27",
                           "[serial]\npattern = \"(\"",
                           "[serial]\npattern = \"\"",
                           "[serial]\nlabel-prefix = \"a\\u0007\"",
                           "flash = 3",
                           "[serial]\nplatforms = 3",
                           "[start]\nat-once = 1001"}) {
    INFO(line);
    CHECK(faults(line).size() >= 1);
  }
}

TEST_CASE("a digest that is none, and a product's name for no file, are refused") {
  for (const char* text : {"product = \"a/b\"\n[image]\nfile = \"a\"", "product = \"k\"\n[image]\ndigest = \"abc\"",
                           "product = \"k\"\n[image]\ndigest = \"zz\"\npolicy = \"any\""})
    CHECK_FALSE(parse(text).value);
}

TEST_CASE("settings that contradict each other are said") {
  const auto conflict = [](std::string_view text) {
    const auto parsed = parse(std::string(kStart) + std::string(text));
    INFO(text);
    REQUIRE(parsed.complaints.size() == 1);
    CHECK(parsed.complaints[0].error.id() == "config.conflict");
  };
  conflict("[flash]\nverify-erasure = true\nprotocols = [\"disk\"]");
  conflict("[flash]\nwrite = \"differing\"\nread-back = \"off\"");
  conflict("[flash]\nerase = \"zero\"\nprotocols = [\"ufp\"]");
  conflict("[flash]\nwrite = \"differing\"\nprotocols = [\"simple-io\"]");
  conflict("[flash]\nrefit-gpt = true\nprotocols = [\"simple-io\"]");
  conflict("[flash]\nafter-pass = \"power-off\"");
  conflict("[flash]\nafter-pass = \"mass-storage\"");
  conflict("[start]\nat-once = 2");
  conflict("[start]\nstagger = \"1 s\"");
  conflict("[retries]\ncount = 1");
  conflict("[rules]\nplatform = \"p.xml\"");
  conflict("[flash]\nprotocols = [\"disk\"]\nerase = \"discard\"\nverify-erasure = true");
  conflict("[flash]\nerase = \"zero\"\nprotocols = [\"disk\", \"ufp\"]");
  conflict("[serial]\nsource = \"allocated\"");
  conflict("[serial]\nrange = { first = 1, last = 2 }");
  conflict("[serial]\ntyped = true");
  conflict("[serial]\nlabel = \"equals-device-serial\"");
  conflict("[serial]\nsource = \"scanned\"\nlabel = \"fits-platform\"");
  conflict("[serial]\nplatforms = { a = \"b\" }");
  conflict("[serial]\nsource = \"scanned\"\npattern = '(?<mac>.*)'");
  conflict("[serial]\nsource = \"device\"\npattern = '(?<serial>.*)'");
  conflict("[serial]\nsource = \"allocated\"\npattern = \"B\\\\d+\"\nrange = { prefix = \"A\", first = 1, last = 2 }");
}

TEST_CASE("a range of serials carries the check digit, and one that cannot be is refused") {
  const ProductFile product = good(
      "[serial]\nsource = \"allocated\"\ncheck-digit = \"luhn\"\n"
      "range = { prefix = \"A\", first = 7992739871, last = 7992739872 }\n");
  REQUIRE(product.serial.range);
  CHECK(product.serial.range->serial_of(7992739871).value() == "A79927398713");
  CHECK(faults("[serial]\nsource = \"allocated\"\nrange = { first = 2, last = 1 }") ==
        Texts{"3:9 serial.range-invalid"});
  CHECK(faults("[serial]\nsource = \"allocated\"\nrange = { frist = 2, last = 3 }") ==
        Texts{"3:9 config.key-missing", "3:11 config.key-unknown"});
}

TEST_CASE("errors worth a retry have to be in the error table, where that is given") {
  constexpr auto kRows = std::to_array<core::ErrorRow>({{"device.disconnected", "x", "y", core::FaultClass::unit},
                                                        {"device.stalled", "x", "y", core::FaultClass::unit}});
  const std::string text = std::string(kStart) + "[retries]\ncount = 1\nerrors = [\"device.disconected\"]\n";
  CHECK(parse_product_file(text, "k.toml").value);
  const auto parsed = parse_product_file(text, "k.toml", kRows);
  REQUIRE(parsed.complaints.size() == 1);
  CHECK(parsed.complaints[0].remedy() == "did you mean \"device.disconnected\"?");
}

TEST_CASE("an error that no second try mends is not worth one") {
  constexpr auto kRows = std::to_array<core::ErrorRow>(
      {{"device.timed-out", "x", "y", core::FaultClass::unit}, {"image.changed", "x", "y", core::FaultClass::image}});
  const auto complaints = [&](const std::string& id) {
    const std::string text = std::string(kStart) + "[retries]\ncount = 1\nerrors = [\"" + id + "\"]\n";
    return parse_product_file(text, "k.toml", kRows).complaints;
  };
  CHECK(complaints("device.timed-out").empty());
  REQUIRE(complaints("image.changed").size() == 1);
  CHECK(complaints("image.changed")[0].error.id() == "config.conflict");
}

TEST_CASE("a rework is never without an erasure, and each phase has its deadline") {
  const ProductFile plain = good("");
  CHECK(plain.rework_erase == Erasure::zero);
  CHECK(good("[flash]\nrework-erase = \"secure-discard\"\n").rework_erase == Erasure::secure_discard);
  CHECK(faults("[flash]\nrework-erase = \"none\"\n").size() == 1);
  CHECK(faults("[flash]\nrework-erase = \"discard\"\n").size() == 1);
  const ProductFile other = good("[deadlines]\nadmit = \"7 s\"\nfinish = \"8 s\"\n");
  CHECK(other.deadlines.admit == 7s);
  CHECK(other.deadlines.finish == 8s);
  CHECK(plain.deadlines.admit == 60s);
  CHECK(plain.deadlines.finish == 60s);
}

TEST_CASE("two files with the same settings have the same digest, however they are written") {
  const auto a = good(
      "[flash]\nafter-pass = \"reboot\"\nreboot-time = \"60 s\"\n[serial]\nsource = \"scanned\"\n"
      "label = \"fits-platform\"\nplatforms = { a = \"x\", b = \"y\" }\n");
  const auto b = good(
      "# a comment\n[serial]\nplatforms = { b = \"y\", a = \"x\" }\nlabel = \"fits-platform\"\n"
      "source = \"scanned\"\n[flash]\nreboot-time = \"1 min\"\nafter-pass = \"reboot\"\n");
  CHECK(a.normalised() == b.normalised());
  CHECK(a.digest().value() == b.digest().value());
  CHECK(a.digest()->size() == 64);
}

TEST_CASE("every setting changes the digest") {
  const std::string before = good("").digest().value();
  for (const char* more : {"[serial]\nsource = \"scanned\"\n",
                           "[serial]\nupper-case = true\n",
                           "[serial]\npattern = \"a\"\n",
                           "[serial]\ncheck-digit = \"luhn\"\n",
                           "[serial]\nlabel-prefix = \"1S\"\n",
                           "[flash]\nread-back = \"off\"\n",
                           "[flash]\nwrite = \"differing\"\n",
                           "[flash]\nprotocols = [\"disk\"]\nerase = \"zero\"\n",
                           "[flash]\nrefit-gpt = true\n",
                           "[flash]\nrework-erase = \"secure-discard\"\n",
                           "[flash]\nafter-pass = \"reboot\"\n",
                           "[flash]\nreboot-time = \"1 s\"\n",
                           "[flash]\nprotocols = [\"ufp\"]\n",
                           "[rules]\nbcd = true\n",
                           "[rules]\nrecovery = \"winre\"\n",
                           "[retries]\nerrors = [\"a.b\"]\n",
                           "[deadlines]\nwrite = \"1 s\"\n",
                           "[deadlines]\nscan = \"1 s\"\n",
                           "[deadlines]\nadmit = \"1 s\"\n",
                           "[deadlines]\nfinish = \"1 s\"\n",
                           "[start]\nat-once = 1\nstagger = \"1 s\"\n",
                           "[quarantine]\nunit-failures = 3\n",
                           "[pace]\nleast = 1\nwithin = \"1 s\"\n"}) {
    INFO(more);
    CHECK(good(more).digest().value() != before);
  }
}

TEST_CASE("the digest follows the contents of rule files, and says when one is not there") {
  const fixture::ScratchFolder folder;
  std::ofstream(folder / "l.xml") << "one";
  const std::string text = std::string(kStart) + "[rules]\nlayout = \"l.xml\"\n";
  const auto parsed = parse_product_file(text, folder / "k.toml");
  REQUIRE(parsed.value);
  const std::string one = parsed.value->digest().value();
  const std::string rules = parsed.value->rules_digest().value();
  std::ofstream(folder / "l.xml") << "two";
  CHECK(parsed.value->digest().value() != one);
  CHECK(parsed.value->rules_digest().value() != rules);
  std::filesystem::remove(folder / "l.xml");
  REQUIRE_FALSE(parsed.value->digest().has_value());
  CHECK(parsed.value->digest().error().id() == "io.not-found");
}

TEST_CASE("times and sizes are read and written with their units") {
  CHECK(parse_duration("500ms") == 500ms);
  CHECK(parse_duration("2 d") == 48h);
  CHECK_FALSE(parse_duration("2"));
  CHECK_FALSE(parse_duration("2 weeks"));
  CHECK_FALSE(parse_duration(" 2 s"));
  CHECK_FALSE(parse_duration(""));
  CHECK(to_string(90s) == "90 s");
  CHECK(to_string(120s) == "2 min");
  CHECK(to_string(0ms) == "0 ms");
  CHECK(parse_size("4096") == 4096);
  CHECK(parse_size("64 KiB") == 65536);
  CHECK(parse_size("1GiB") == 1U << 30);
  CHECK_FALSE(parse_size("1 GB"));
  CHECK_FALSE(parse_size("18446744073709551615 GiB"));
}
