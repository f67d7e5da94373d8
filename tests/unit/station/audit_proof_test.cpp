// SPDX-License-Identifier: GPL-3.0-or-later
// The proof of records without a station: against a head that was kept, and the head against the station's key.
#include "station/cli/audit_proof.hpp"

#include <catch2/catch.hpp>
#include <fstream>

#include "db/audit.hpp"
#include "db/chain.hpp"
#include "station/daemon/head_key.hpp"
#include "tests/unit/fixtures/scratch_folder.hpp"

using namespace imprint;
using namespace imprint::station::cli;

namespace {

// Records with three entries in the audit log, a key, and a head that it signed.
struct Kept {
  fixture::ScratchFolder folder;
  core::SystemClock clock;
  std::string head;
  std::string signature;

  Kept() {
    REQUIRE(daemon::HeadKey::make(folder / "station.key").has_value());
    const auto key = daemon::HeadKey::load(folder / "station.key");
    REQUIRE(key.has_value());
    const auto records = db::Records::open(database(), clock).value();
    for (const char* action : {"one", "two", "three"}) REQUIRE(db::Audit(*records).add({.action = action}).has_value());
    const auto exported =
        db::Chain(*records).export_head("line-1", "test", [&](std::string_view text) { return key->sign(text); }, {});
    REQUIRE(exported.has_value());
    head = exported->text;
    signature = exported->signature;
  }
  [[nodiscard]] std::filesystem::path database() const { return folder / "station.db"; }
  [[nodiscard]] std::filesystem::path key() const { return folder / "station.key.pub"; }
  // As `imprint station audit head --json` prints it.
  [[nodiscard]] std::string head_file(const std::string& text) const {
    std::string escaped;
    for (const char sign : text) escaped += sign == '"' ? std::string("\\\"") : std::string(1, sign);
    std::ofstream(folder / "head.json") << "{\"head\":\"" << escaped << "\",\"signature\":\"" << signature << "\"}\n";
    return "@" + (folder / "head.json").native();
  }
  [[nodiscard]] ExitStatus prove(const std::string& kept, bool with_key = true) const {
    ProofOptions options;
    options.database = database();
    options.head = kept;
    if (with_key) options.key = key();
    return prove_records(options, {});
  }
};

}  // namespace

TEST_CASE("records prove against a head that was kept, by its text and by the file with its signature") {
  const Kept kept;
  CHECK(kept.prove(kept.head, false) == ExitStatus::good);
  CHECK(kept.prove(kept.head_file(kept.head)) == ExitStatus::good);
}

TEST_CASE("a head that another key signed, or that was changed, proves nothing") {
  const Kept kept;
  std::string changed = kept.head;
  const auto digit = changed.find("\"head\":\"") + 8;
  changed[digit] = changed[digit] == 'a' ? 'b' : 'a';
  CHECK(kept.prove(kept.head_file(changed)) != ExitStatus::good);
  CHECK(kept.prove(changed, false) == ExitStatus::not_good);
  REQUIRE(daemon::HeadKey::make(kept.folder / "other.key").has_value());
  ProofOptions options;
  options.database = kept.database();
  options.head = kept.head_file(kept.head);
  options.key = kept.folder / "other.key.pub";
  CHECK(prove_records(options, {}) != ExitStatus::good);
  CHECK(kept.prove(kept.head, true) == ExitStatus::usage);
}

TEST_CASE("records from which the end was cut off do not prove against the head of before") {
  const Kept kept;
  // A file with fewer entries under the same name: what an older copy that was put back looks like.
  {
    std::filesystem::remove(kept.database());
    const auto records = db::Records::open(kept.database(), kept.clock);
    REQUIRE(records.has_value());
    REQUIRE(db::Audit(**records).add({.action = "one"}).has_value());
  }
  CHECK(kept.prove(kept.head, false) == ExitStatus::not_good);
}

TEST_CASE("a head that was typed off a printed sheet is the head with its signature") {
  const Kept kept;
  const std::string typed = kept.head.substr(0, 60) + "\n  " + kept.head.substr(60) + "\n" +
                            kept.signature.substr(0, 40) + " \n" + kept.signature.substr(40) + "\n";
  const auto read = read_head(typed);
  REQUIRE(read.has_value());
  CHECK(read->text == kept.head);
  CHECK(read->signature == kept.signature);
  CHECK(kept.prove(typed) == ExitStatus::good);
}

TEST_CASE("a shift report in JSON is a kept head, too") {
  const auto read = read_head(R"({"report":"shift","head":{"head":"the text","signature":"the signature"}})");
  REQUIRE(read.has_value());
  CHECK(read->text == "the text");
  CHECK(read->signature == "the signature");
}
