// SPDX-License-Identifier: GPL-3.0-or-later
// station.toml, and configurations out of several folders.
#include "station/config/configuration.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <fstream>

#include "flash/core/guid.hpp"
#include "tests/unit/fixtures/scratch_folder.hpp"

using namespace imprint;
using namespace imprint::station::config;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

constexpr const char* kStation = "[station]\nid = \"line-1\"\n";

struct Folders {
  fixture::ScratchFolder base;
  void put(const std::string& path, std::string_view text) const {
    fs::create_directories((base / path).parent_path());
    std::ofstream(base / path) << text;
  }
  [[nodiscard]] Configuration load() const {
    auto loaded = load_configuration({base / "usr", base / "etc"});
    REQUIRE(loaded.has_value());
    return std::move(*loaded);
  }
};

std::string product(std::string_view name, std::string_view policy = "retail") {
  return "product = \"" + std::string(name) + "\"\n[image]\nfile = \"a.ffu\"\npolicy = \"" + std::string(policy) +
         "\"\n";
}

StationFile good(std::string_view text) {
  auto parsed = parse_station_file(text, "/etc/imprint/station.toml");
  for (const Complaint& complaint : parsed.complaints) UNSCOPED_INFO(complaint.to_line());
  REQUIRE(parsed.value);
  return std::move(*parsed.value);
}

std::string fault(std::string_view more) {
  const auto parsed = parse_station_file(kStation + std::string(more), "station.toml");
  INFO(more);
  CHECK_FALSE(parsed.value);
  REQUIRE(parsed.complaints.size() == 1);
  CHECK(parsed.complaints[0].place.line > 0);
  return std::string(parsed.complaints[0].error.id());
}

}  // namespace

TEST_CASE("a short station file has the safe settings") {
  const StationFile station = good(kStation);
  CHECK(station.id == "line-1");
  CHECK(station.name == "line-1");
  CHECK_FALSE(station.training);
  CHECK(station.policy == trust::Policy::retail);
  CHECK(station.attempts.lock_after == 10);
  CHECK(station.scan_hold == 60s);
  CHECK(station.metrics_socket.empty());
}

TEST_CASE("every setting of a station file is read") {
  const StationFile station = good(R"(
[station]
id = "line-1"
name = "Linie 1, Platz ä"
zone = "Europe/Berlin"
language = "de"
training = true
policy = "test"
[folders]
records = "r"
images = "/i"
scratch = "s"
backups = "b"
trust = "../trust"
[api]
socket = "/run/a"
metrics-socket = "/run/m"
max-clients = 3
max-request = "64 KiB"
[people]
pin-length = 8
free-attempts = 1
first-delay = "1 s"
longest-delay = "1 h"
lock-after = 5
sign-out-after = "0 ms"
[records]
retention-days = 365
backup-hours = 12
[scan]
hold = "30 s"
[quarantine]
unit-failures = 1
slot-failures-in-a-row = 2
)");
  CHECK(station.name == "Linie 1, Platz ä");
  CHECK(station.zone == "Europe/Berlin");
  CHECK(station.language == "de");
  CHECK(station.training);
  CHECK(station.policy == trust::Policy::test);
  CHECK(station.records == "/etc/imprint/r");
  CHECK(station.images == "/i");
  CHECK(station.trust == "/etc/trust");
  CHECK(station.api_socket == "/run/a");
  CHECK(station.metrics_socket == "/run/m");
  CHECK(station.max_clients == 3);
  CHECK(station.max_request == 65536);
  CHECK(station.pin.min_length == 8);
  CHECK(station.attempts.free == 1);
  CHECK(station.attempts.first_delay == 1s);
  CHECK(station.attempts.longest_delay == 1h);
  CHECK(station.attempts.lock_after == 5);
  CHECK(station.sign_out_after == 0ms);
  CHECK(station.retention_days == 365);
  CHECK(station.backup_hours == 12);
  CHECK(station.scan_hold == 30s);
  CHECK(station.quarantine.unit_failures == 1);
  CHECK(station.quarantine.slot_failures_in_a_row == 2);
}

TEST_CASE("a folder for clients that a link leads into the station's own files is found") {
  const imprint::fixture::ScratchFolder scratch;
  StationFile station;
  station.records = scratch.path() / "records";
  std::filesystem::create_directory(station.records);
  std::filesystem::create_directory(scratch.path() / "images");
  std::filesystem::create_directory_symlink(station.records, scratch.path() / "link");
  station.job_folders = {scratch.path() / "images", scratch.path() / "link"};
  CHECK(job_folders_that_lead_astray(station) == std::vector{scratch.path() / "link"});
}

TEST_CASE("a station file's faults are said with their place") {
  CHECK(fault("name = \"\"") == "config.value-invalid");
  CHECK(fault("zone = \"../../etc/passwd\"") == "config.value-invalid");
  CHECK(fault("zone = \"/etc/passwd\"") == "config.value-invalid");
  CHECK(fault("language = \"English\"") == "config.value-invalid");
  CHECK(fault("policy = \"lax\"") == "config.value-invalid");
  CHECK(fault("traning = true") == "config.key-unknown");
  CHECK(fault("[folders]\nrecords = \"a\"\nimages = \"./b/../a\"") == "config.conflict");
  CHECK(fault("[api]\nsocket = \"/" + std::string(120, 'a') + "\"") == "config.value-invalid");
  CHECK(fault("[api]\nsocket = \"/a\"\nmetrics-socket = \"/a\"") == "config.conflict");
  CHECK(fault("[api]\nmax-request = \"2 MiB\"") == "config.value-invalid");
  CHECK(fault("[people]\nlock-after = 2") == "config.conflict");
  CHECK(fault("[people]\nfirst-delay = \"10 min\"") == "config.conflict");
  CHECK(fault("[people]\npin-length = 4\nlock-after = 0") == "config.conflict");
  CHECK(fault("[people]\npin-length = 3") == "config.value-invalid");
  CHECK(fault("[work]\nflash = 4") == "config.key-unknown");
  CHECK(fault("[jobs]\nflash = 0") == "config.value-invalid");
  CHECK(fault("[jobs]\nscan = 1") == "config.key-unknown");
  CHECK(fault("[jobs]\nmemory-limit = \"1 MiB\"") == "config.value-invalid");
  CHECK(fault("[jobs]\nfolders = [\"images\"]") == "config.value-invalid");
  CHECK(fault("[jobs]\nfolders = [\"/var/lib/imprint/records/x\"]") == "config.conflict");
  CHECK(fault("[jobs]\nfolders = [\"/var\"]") == "config.conflict");
  CHECK(fault("[jobs]\nfolders = [\"/var/lib/imprint/scratch/x\"]") == "config.conflict");
  CHECK(fault("[records]\nkey = \"/srv/keys/station.key\"\n[jobs]\nfolders = [\"/srv/keys/\"]") == "config.conflict");
  CHECK(fault("[records]\nkey = \"pkcs11:token=a;object=b?pin-source=file:/srv/pin/x\"\n[jobs]\nfolders = "
              "[\"/srv/pin\"]") == "config.conflict");
  const auto no_id = parse_station_file("", "station.toml");
  REQUIRE(no_id.complaints.size() == 1);
  CHECK(no_id.complaints[0].error.id() == "config.key-missing");
}

TEST_CASE("without any file a station has its defaults and no product") {
  const Folders folders;
  const Configuration configuration = folders.load();
  CHECK(configuration.products.empty());
  CHECK(configuration.files.empty());
  CHECK(configuration.complaints.empty());
  CHECK(configuration.station.id == "station");
}

TEST_CASE("a later folder's file hides one of the same name, and an empty one takes it away") {
  const Folders folders;
  folders.put("usr/station.toml", "[station]\nid = \"shipped\"\n");
  folders.put("etc/station.toml", "[station]\nid = \"own\"\n");
  folders.put("usr/products/a.toml", product("a"));
  folders.put("etc/products/a.toml", product("a2"));
  folders.put("usr/products/b.toml", product("b"));
  folders.put("etc/products/b.toml", "");
  folders.put("usr/products/c.toml", product("c"));
  fs::create_symlink("/dev/null", folders.base / "etc/products/c.toml");
  folders.put("etc/products/d.toml", product("d"));
  folders.put("etc/products/e.toml.example", "nonsense");
  const Configuration configuration = folders.load();
  CHECK(configuration.complaints.empty());
  CHECK(configuration.station.id == "own");
  REQUIRE(configuration.products.size() == 2);
  CHECK(configuration.find("a2") != nullptr);
  CHECK(configuration.find("d") != nullptr);
  CHECK(configuration.find("a") == nullptr);
  CHECK(configuration.slot_folders ==
        std::vector<fs::path>{folders.base / "usr/slots.d", folders.base / "etc/slots.d"});
}

TEST_CASE("the faults of all files come together, and a product with one is left out") {
  const Folders folders;
  folders.put("etc/station.toml", "[station]\nid = \"a b\"\n");
  folders.put("etc/products/a.toml", "product = 1\n");
  folders.put("etc/products/b.toml", product("b"));
  const Configuration configuration = folders.load();
  CHECK(configuration.complaints.size() == 3);
  CHECK(configuration.products.size() == 1);
  const core::Error error = as_error(configuration.complaints);
  CHECK(error.id() == "config.faulty");
  CHECK(error.context_value("faults") == "3");
  CHECK(error.cause() != nullptr);
}

TEST_CASE("two files of one product are a fault") {
  const Folders folders;
  folders.put("etc/products/a.toml", product("kestrel"));
  folders.put("etc/products/b.toml", product("kestrel"));
  const Configuration configuration = folders.load();
  REQUIRE(configuration.complaints.size() == 1);
  CHECK(configuration.complaints[0].error.id() == "config.product-twice");
  CHECK(configuration.complaints[0].file.filename() == "b.toml");
  CHECK(configuration.complaints[0].place.line == 1);
}

TEST_CASE("a product may not be laxer than its station") {
  const Folders folders;
  folders.put("etc/station.toml", "[station]\nid = \"a\"\npolicy = \"test\"\n");
  folders.put("etc/products/a.toml", product("a", "none"));
  folders.put("etc/products/b.toml", product("b", "test"));
  folders.put("etc/products/c.toml", product("c", "retail"));
  const Configuration configuration = folders.load();
  REQUIRE(configuration.complaints.size() == 1);
  CHECK(configuration.complaints[0].error.id() == "config.conflict");
  CHECK(configuration.complaints[0].place.line == 4);
  CHECK(configuration.products.size() == 2);
}

TEST_CASE("a file that cannot be read is the environment's fault") {
  const Folders folders;
  fs::create_directories(folders.base / "etc/products");
  fs::create_symlink("nowhere", folders.base / "etc/products/a.toml");
  const auto loaded = load_configuration({folders.base / "etc"});
  REQUIRE_FALSE(loaded.has_value());
  CHECK(loaded.error().id() == "io.not-found");
}

TEST_CASE("the configuration that is shipped has no fault, and its settings are the defaults") {
  const auto loaded = load_configuration({fs::path(IMPRINT_SOURCE_DIR) / "config"});
  REQUIRE(loaded.has_value());
  for (const Complaint& complaint : loaded->complaints) UNSCOPED_INFO(complaint.to_line());
  CHECK(loaded->complaints.empty());
  const ProductFile* kestrel = loaded->find("kestrel");
  REQUIRE(kestrel != nullptr);
  CHECK(kestrel->serial.pattern->matches("LK1-0000429"));
  CHECK(kestrel->digest().has_value());
  const StationFile& shipped = loaded->station;
  const StationFile usual;
  CHECK(shipped.id == usual.id);
  CHECK(shipped.language == usual.language);
  CHECK(shipped.policy == usual.policy);
  CHECK(shipped.records == usual.records);
  CHECK(shipped.images == usual.images);
  CHECK(shipped.scratch == usual.scratch);
  CHECK(shipped.backups == usual.backups);
  CHECK(shipped.trust == usual.trust);
  CHECK(shipped.api_socket == usual.api_socket);
  CHECK(shipped.max_clients == usual.max_clients);
  CHECK(shipped.max_request == usual.max_request);
  CHECK(shipped.pin.min_length == usual.pin.min_length);
  CHECK(shipped.attempts.free == usual.attempts.free);
  CHECK(shipped.attempts.first_delay == usual.attempts.first_delay);
  CHECK(shipped.attempts.longest_delay == usual.attempts.longest_delay);
  CHECK(shipped.attempts.lock_after == usual.attempts.lock_after);
  CHECK(shipped.sign_out_after == usual.sign_out_after);
  CHECK(shipped.retention_days == usual.retention_days);
  CHECK(shipped.backup_hours == usual.backup_hours);
  CHECK(shipped.scan_hold == usual.scan_hold);
}

TEST_CASE("shifts have names and times by the clock on the wall, and may go over midnight") {
  const StationFile station = good(std::string(kStation) +
                                   "[[shift]]\nname = \"early\"\nstart = \"06:00\"\nend = \"14:30\"\n"
                                   "[[shift]]\nname = \"night\"\nstart = \"22:00\"\nend = \"06:00\"\n"
                                   "[[shift]]\nname = \"day\"\nstart = \"00:00\"\nend = \"24:00\"\n");
  REQUIRE(station.shifts.size() == 3);
  CHECK(station.shifts[0].name == "early");
  CHECK(station.shifts[0].end == 14 * 60 + 30);
  CHECK(station.shifts[1].start == 22 * 60);
  CHECK(station.shifts[2].end == 24 * 60);
}

TEST_CASE("each fault of a shift is told by its line") {
  const std::string early = "[[shift]]\nname = \"early\"\nstart = \"06:00\"\nend = \"14:00\"\n";
  CHECK(fault(early + early) == "config.value-invalid");
  CHECK(fault("[[shift]]\nstart = \"06:00\"\nend = \"14:00\"\n") == "config.key-missing");
  CHECK(fault("[[shift]]\nname = \"a\"\nend = \"14:00\"\n") == "config.key-missing");
  CHECK(fault("[[shift]]\nname = \"a\"\nstart = \"06:00\"\nend = \"06:00\"\n") == "config.conflict");
  CHECK(fault("[[shift]]\nname = \"a\"\nstart = \"24:00\"\nend = \"06:00\"\n") == "config.value-invalid");
  CHECK(fault("[[shift]]\nname = \"a\"\nstart = \"06:00\"\nend = \"14:00\"\nbegin = \"x\"\n") == "config.key-unknown");
  CHECK(fault("[shift]\nname = \"a\"\n") == "config.value-invalid");
  for (const char* time : {"6:00", "06:60", "25:00", "24:01", "06-00", "0600", "aa:bb"})
    CHECK(fault("[[shift]]\nname = \"a\"\nstart = \"05:00\"\nend = \"" + std::string(time) + "\"\n") ==
          "config.value-invalid");
}

TEST_CASE("the key is a file or on a token, whose PIN is in a file and nowhere else") {
  CHECK(good(std::string(kStation) + "[records]\nkey = \"heads.key\"\n").key == "/etc/imprint/heads.key");
  const std::string uri = "pkcs11:token=line;object=heads?pin-source=file:/etc/imprint/pin";
  CHECK(good(std::string(kStation) + "[records]\nkey = \"" + uri + "\"\n").key == uri);
  CHECK(fault("[records]\nkey = \"pkcs11:token=line\"\n") == "config.value-invalid");
  CHECK(fault("[records]\nkey = \"pkcs11:nonsense\"\n") == "sign.uri-malformed");
  CHECK(fault("[records]\nkey = \"pkcs11:token=a?pin-value=1234\"\n") == "sign.pin-in-uri");
}
