// SPDX-License-Identifier: GPL-3.0-or-later
// The image store: admission and everything that stops it, names, withdrawal, and what a crash leaves.
#include "station/images/image_store.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <fstream>
#include <set>
#include <thread>

#include "flash/core/atomic_file.hpp"
#include "flash/core/block_io.hpp"
#include "flash/core/digest.hpp"
#include "flash/core/text.hpp"
#include "flash/ffu/writer.hpp"
#include "flash/trust/signing.hpp"
#include "tests/unit/fixtures/ffu_fixture.hpp"
#include "tests/unit/fixtures/scratch_folder.hpp"

using namespace imprint;
using namespace imprint::station::images;
namespace fs = std::filesystem;

namespace {

const core::UtcTime kNow = core::SystemClock().now();

template <class T>
T must(core::Result<T> result) {
  if (!result) throw std::runtime_error("test fixture: " + result.error().message());
  return std::move(*result);
}

// A test root, a signer, and images that it signed.
struct Bench {
  fixture::ScratchFolder folder;
  trust::TestAuthority authority;
  Bench() {
    fs::create_directories(folder / "trust");
    fs::create_directories(folder / "keys");
    authority = must(trust::make_test_authority(folder / "trust", folder / "keys", kNow));
  }
  [[nodiscard]] trust::TrustStore trust() const { return must(trust::TrustStore::load(folder / "trust")); }

  // The file of an image of `blocks` blocks, signed or with a catalog that nobody signed.
  [[nodiscard]] fs::path image(const std::string& name, std::uint32_t blocks, bool is_signed = true) const {
    fixture::ImageOptions options;
    options.descriptors = fixture::simple_descriptors(blocks);
    const core::MemorySource plain(fixture::build_image(options).file);
    const auto opened =
        must(engine::VerifiedImage::open(std::make_shared<core::MemorySource>(must(plain.read(0, plain.size())))));
    auto catalog = must(trust::build_catalog(opened->image().hash_table, kNow));
    if (is_signed) {
      const auto signer = must(trust::Signer::from_pem(authority.signer_certificate, authority.signer_key));
      catalog = must(signer.sign(catalog, kNow));
    }
    auto sink = must(core::FileSink::create(folder / name, 0));
    must(ffu::replace_catalog(opened->opened(), plain, catalog, *sink));
    return folder / name;
  }
  [[nodiscard]] std::unique_ptr<ImageStore> store() const { return must(ImageStore::open(folder / "store")); }
  [[nodiscard]] core::Result<ImageRecord> admit(ImageStore& store, const fs::path& file,
                                                trust::Policy policy = trust::Policy::test,
                                                const AdmissionProgress& progress = {},
                                                std::stop_token stop = {}) const {
    return store.admit({file, policy, kNow}, trust(), progress, std::move(stop));
  }
  // The names in the store.
  [[nodiscard]] std::set<std::string> names() const {
    std::set<std::string> out;
    for (const auto& entry : fs::directory_iterator(folder / "store")) out.insert(entry.path().filename());
    return out;
  }
};

std::string content(const fs::path& path) { return must(core::read_text_file(path)); }

template <class T>
std::string id_of(const core::Result<T>& result) {
  return result ? "" : std::string(result.error().id());
}

}  // namespace

TEST_CASE("an image that is admitted is copied under its identity, read-only, with its decision beside it") {
  const Bench bench;
  const auto store = bench.store();
  const fs::path file = bench.image("kestrel.ffu", 24);
  std::uint64_t copied = 0;
  std::uint64_t verified = 0;
  const auto record =
      bench.admit(*store, file, trust::Policy::test, [&](AdmissionPhase phase, std::uint64_t done, std::uint64_t) {
        (phase == AdmissionPhase::copying ? copied : verified) = done;
      });
  REQUIRE(record.has_value());
  CHECK(bench.names() == std::set<std::string>{record->digest + ".ffu", record->digest + ".json"});
  CHECK(content(store->folder() / (record->digest + ".ffu")) == content(file));
  struct stat info{};
  REQUIRE(stat((store->folder() / (record->digest + ".ffu")).c_str(), &info) == 0);
  CHECK((info.st_mode & 07777U) == 0440);
  CHECK(copied == fs::file_size(file));
  CHECK(verified > 0);
  CHECK(record->size == fs::file_size(file));
  CHECK(record->name == "kestrel.ffu");
  CHECK(record->policy == trust::Policy::test);
  CHECK_FALSE(record->signer.empty());
  CHECK(record->signer_sha256.size() == 64);
  CHECK(record->trust_digest == bench.trust().digest());
  CHECK(record->platform_ids == std::vector<std::string>{"Imprint.Virtual.Board.1"});
  CHECK_FALSE(record->withdrawn);
  CHECK(to_json(must(store->find(record->digest))) == to_json(*record));
}

TEST_CASE("an image is found by its digest or the first digits, and opened only as it was admitted") {
  const Bench bench;
  const auto store = bench.store();
  const std::string one = must(bench.admit(*store, bench.image("one.ffu", 8))).digest;
  const std::string two = must(bench.admit(*store, bench.image("two.ffu", 9))).digest;
  REQUIRE(one != two);
  CHECK(store->find(one.substr(0, 8))->digest == one);
  CHECK(store->find("SHA256:" + two).has_value() == false);
  CHECK(store->find("sha256:" + two)->digest == two);
  CHECK(id_of(store->find(one.substr(0, 7))) == "store.digest-malformed");
  CHECK(id_of(store->find("../../../etc/passwd")) == "store.digest-malformed");
  CHECK(id_of(store->find(std::string(64, '0'))) == "store.image-missing");
  const auto opened = store->open_image(two);
  REQUIRE(opened.has_value());
  CHECK(opened->image->identity() == two);
  CHECK(must(store->list()).size() == 2);
}

TEST_CASE("digits that several images begin with are refused") {
  const Bench bench;
  const auto store = bench.store();
  const auto record = must(bench.admit(*store, bench.image("one.ffu", 8)));
  ImageRecord other = record;
  other.digest = record.digest.substr(0, 63) + (record.digest.back() == '0' ? "1" : "0");
  std::ofstream(store->folder() / (other.digest + ".json")) << to_json(other);
  CHECK(id_of(store->find(record.digest.substr(0, 20))) == "store.digest-ambiguous");
  CHECK(store->find(record.digest)->digest == record.digest);
}

TEST_CASE("an image that is refused leaves nothing behind") {
  const Bench bench;
  const auto store = bench.store();
  CHECK(id_of(bench.admit(*store, bench.image("unsigned.ffu", 8, false))) == "trust.unsigned");
  CHECK(id_of(bench.admit(*store, bench.image("test.ffu", 8), trust::Policy::retail)).starts_with("trust."));
  CHECK(id_of(bench.admit(*store, bench.folder / "nowhere.ffu")) == "io.not-found");
  CHECK(id_of(bench.admit(*store, bench.folder.path())) != "");
  std::ofstream(bench.folder / "junk.ffu") << "junk";
  CHECK(id_of(bench.admit(*store, bench.folder / "junk.ffu")) != "");
  CHECK(bench.names().empty());
}

TEST_CASE("a flipped byte of the payload is found in the copy") {
  const Bench bench;
  const auto store = bench.store();
  const fs::path file = bench.image("one.ffu", 24);
  {
    std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
    stream.seekg(-20000, std::ios::end);
    const char byte = static_cast<char>(stream.peek() ^ 1);
    stream.seekp(-20000, std::ios::end);
    stream.put(byte);
  }
  CHECK(id_of(bench.admit(*store, file)) == "image.hash-mismatch");
  CHECK(bench.names().empty());
}

TEST_CASE("an admission that is stopped while it copies or verifies leaves nothing behind") {
  const Bench bench;
  const auto store = bench.store();
  const fs::path file = bench.image("one.ffu", 24);
  for (const AdmissionPhase when : {AdmissionPhase::copying, AdmissionPhase::verifying}) {
    std::stop_source stop;
    const auto record = bench.admit(
        *store, file, trust::Policy::test,
        [&](AdmissionPhase phase, std::uint64_t, std::uint64_t) {
          if (phase == when) stop.request_stop();
        },
        stop.get_token());
    CHECK(id_of(record) == "job.cancelled");
    CHECK(bench.names().empty());
  }
}

TEST_CASE("an image is admitted again under another policy, and its record follows") {
  const Bench bench;
  const auto store = bench.store();
  const fs::path file = bench.image("one.ffu", 8);
  const auto first = must(bench.admit(*store, file, trust::Policy::none));
  CHECK(first.signer.empty());
  const auto opened = must(store->open_image(first.digest));
  const auto second = must(bench.admit(*store, file));
  CHECK(second.digest == first.digest);
  CHECK(store->find(first.digest)->policy == trust::Policy::test);
  // Who had it open reads on.
  core::ByteBuffer bytes(4096);
  CHECK(opened.image->read(0, bytes));
  CHECK(bench.names().size() == 2);
}

TEST_CASE("a withdrawn image is neither opened nor admitted again until it is reinstated") {
  const Bench bench;
  const auto store = bench.store();
  const fs::path file = bench.image("one.ffu", 8);
  const std::string digest = must(bench.admit(*store, file)).digest;
  REQUIRE(store->withdraw(digest.substr(0, 10), "berta", "boots into the wrong\nlanguage", kNow));
  const auto refused = store->open_image(digest);
  CHECK(id_of(refused) == "store.image-withdrawn");
  CHECK(refused.error().context_value("by") == "berta");
  CHECK(refused.error().detail() == "boots into the wrong?language");
  CHECK(id_of(bench.admit(*store, file)) == "store.image-withdrawn");
  CHECK(must(store->list()).at(0).withdrawn);
  CHECK(store->reinstate(digest));
  CHECK(store->open_image(digest).has_value());
  CHECK(bench.admit(*store, file).has_value());
}

TEST_CASE("a removed image is gone, but a withdrawal outlives it") {
  const Bench bench;
  const auto store = bench.store();
  const fs::path file = bench.image("one.ffu", 8);
  const std::string digest = must(bench.admit(*store, file)).digest;
  CHECK(store->remove(digest));
  CHECK(bench.names().empty());
  CHECK(id_of(store->remove(digest)) == "store.image-missing");
  must(bench.admit(*store, file));
  CHECK(store->withdraw(digest, "berta", "wrong", kNow));
  CHECK(store->remove(digest));
  CHECK(bench.names() == std::set<std::string>{digest + ".json"});
  CHECK(id_of(bench.admit(*store, file)) == "store.image-withdrawn");
  CHECK(store->reinstate(digest));
  CHECK(id_of(store->open_image(digest)) == "store.image-missing");
  CHECK(bench.admit(*store, file).has_value());
}

TEST_CASE("an image that was changed, cut or replaced under its name is not opened") {
  const Bench bench;
  const auto store = bench.store();
  const std::string digest = must(bench.admit(*store, bench.image("one.ffu", 8))).digest;
  const fs::path other = bench.image("two.ffu", 8 + 1);
  const fs::path path = store->folder() / (digest + ".ffu");
  const std::string whole = content(path);
  const auto put = [&](const std::string& bytes) {
    fs::remove(path);
    std::ofstream(path, std::ios::binary) << bytes;
  };
  put(whole.substr(0, whole.size() - 1));
  CHECK(id_of(store->open_image(digest)) == "store.image-changed");
  std::string flipped = whole;
  flipped[100] = static_cast<char>(flipped[100] ^ 1);
  put(flipped);
  CHECK(id_of(store->open_image(digest)) == "store.image-changed");
  fs::remove(path);
  fs::create_symlink(other, path);
  CHECK(id_of(store->open_image(digest)) == "store.image-changed");
  fs::remove(path);
  CHECK(id_of(store->open_image(digest)) == "store.image-missing");
  put(whole);
  CHECK(store->open_image(digest).has_value());
}

TEST_CASE("what interrupted admissions left is taken away, and what is at work is left alone") {
  const Bench bench;
  const std::string digest = must(bench.admit(*bench.store(), bench.image("one.ffu", 8))).digest;
  const fs::path folder = bench.folder / "store";
  std::ofstream(folder / "admitting-00000000") << "half";
  std::ofstream(folder / "admitting-11111111") << "at work";
  std::ofstream(folder / (std::string(64, 'a') + ".ffu")) << "never recorded";
  std::ofstream(folder / (digest + ".json.partial-12345678")) << "half";
  std::ofstream(folder / "notes.txt") << "somebody's";
  const int at_work = ::open((folder / "admitting-11111111").c_str(), O_RDONLY | O_CLOEXEC);
  REQUIRE(flock(at_work, LOCK_EX | LOCK_NB) == 0);
  const auto store = bench.store();
  CHECK(bench.names() == std::set<std::string>{digest + ".ffu", digest + ".json", "admitting-11111111", "notes.txt"});
  ::close(at_work);
  CHECK(must(store->list()).size() == 1);
}

TEST_CASE("a store whose folder somebody holds locked says that it is busy") {
  const Bench bench;
  const auto store = bench.store();
  const int held = ::open(store->folder().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  REQUIRE(flock(held, LOCK_EX | LOCK_NB) == 0);
  CHECK(id_of(store->withdraw(std::string(64, '0'), "a", "b", kNow)) == "store.busy");
  ::close(held);
}

TEST_CASE("two admissions of one image at once both end well, and the store has it once") {
  const Bench bench;
  const auto store = bench.store();
  const fs::path file = bench.image("one.ffu", 24);
  std::string first;
  std::string second;
  {
    const std::jthread a([&] { first = must(bench.admit(*store, file)).digest; });
    const std::jthread b([&] { second = must(bench.admit(*bench.store(), file)).digest; });
  }
  CHECK(first == second);
  CHECK(bench.names().size() == 2);
  CHECK(store->open_image(first).has_value());
}

TEST_CASE("a record that was damaged is said, and does not make its image good") {
  const Bench bench;
  const auto store = bench.store();
  auto record = must(bench.admit(*store, bench.image("one.ffu", 8)));
  const fs::path path = store->folder() / (record.digest + ".json");
  const std::string good = content(path);
  for (std::size_t length = 0; length + 2 < good.size(); ++length) {
    INFO(good.substr(0, length));
    CHECK(id_of(parse_image_record(good.substr(0, length))) == "store.record-damaged");
  }
  std::string lost = good;
  lost.replace(lost.find(",\"withdrawn\":null"), 17, "");
  CHECK(id_of(parse_image_record(lost)) == "store.record-damaged");
  record.digest = std::string(64, 'b');
  std::ofstream(path) << to_json(record);
  CHECK(id_of(store->open_image(path.stem().native())) == "store.record-damaged");
  CHECK(id_of(store->list()) == "store.record-damaged");
}

TEST_CASE("a record is read back as it was written, withdrawn or not") {
  ImageRecord record;
  record.digest = std::string(64, 'a');
  record.size = UINT64_MAX;
  record.name = "a \"b\".ffu";
  record.policy = trust::Policy::none;
  record.platform_ids = {"x", "y"};
  record.copied_by = CopiedBy::reflink;
  record.sealed_by = SealedBy::fs_verity;
  CHECK(to_json(must(parse_image_record(to_json(record)))) == to_json(record));
  record.withdrawn = Withdrawal{"2026-01-01", "b", "r"};
  const auto read = must(parse_image_record(to_json(record)));
  CHECK(read.withdrawn->reason == "r");
  CHECK(to_json(read) == to_json(record));
}
