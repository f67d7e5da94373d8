// SPDX-License-Identifier: GPL-3.0-or-later
// WIMs taken out of a volume: damage anywhere is seen, nothing stays behind, and no file is taken out that is too
// large.
#include "flash/inspect/wim_check.hpp"

#include <catch2/catch.hpp>

#include "disk_fixture.hpp"
#include "flash/core/errors.hpp"
#include "flash/inspect/recovery_files.hpp"

using namespace imprint;
using namespace imprint::inspect;
using namespace imprint::inspect::test;

namespace {

// A volume that holds one file of any size without its bytes, or fails.
class ScriptedVolume final : public disk::Volume {
 public:
  std::uint64_t size = 0;
  std::optional<core::Error> error;
  [[nodiscard]] const disk::VolumeInfo& info() const override { return info_; }
  [[nodiscard]] core::Result<std::vector<disk::FileEntry>> list(std::string_view) override {
    return core::fail("io.read-failed");
  }
  [[nodiscard]] core::Result<disk::FileEntry> find(std::string_view path) override {
    if (error) return std::unexpected(*error);
    return disk::FileEntry{std::string(path), false, size};
  }
  [[nodiscard]] core::Result<std::shared_ptr<const core::BlockSource>> open_file(std::string_view) override {
    return core::fail("io.read-failed");
  }
  [[nodiscard]] core::Result<core::ExtentSet> allocated() override { return core::fail("io.read-failed"); }

 private:
  disk::VolumeInfo info_;
};

// Says that it is larger than any disk; nothing of it is ever to be read.
class HugeSource final : public core::BlockSource {
 public:
  [[nodiscard]] std::uint64_t size() const override { return 1ULL << 60; }
  [[nodiscard]] core::Status read_at(std::uint64_t, core::ByteSpan) const override {
    FAIL("a file that does not fit was read");
    return {};
  }
};

CheckList file_checks() {
  return {"volume",
          {"recovery.file-missing", "recovery.wim-too-large", "recovery.wim-damaged", "recovery.version-file"}};
}

}  // namespace

TEST_CASE("a whole WIM is intact and its images are counted") {
  const TemporaryFolder folder;
  make_wim(folder, folder / "a.wim", 2);
  const auto scratch = folder / "scratch";
  std::filesystem::create_directories(scratch);
  const auto verdict = check_wim(core::MemorySource(read_bytes(folder / "a.wim")), scratch);
  INFO(verdict.text);
  CHECK(verdict.kind == WimVerdict::Kind::intact);
  CHECK(verdict.images == 2);
  CHECK(std::filesystem::is_empty(scratch));
}

TEST_CASE("a WIM cut off anywhere is damaged and leaves nothing in the scratch folder") {
  const TemporaryFolder folder;
  make_wim(folder, folder / "a.wim");
  const auto scratch = folder / "scratch";
  std::filesystem::create_directories(scratch);
  const auto bytes = read_bytes(folder / "a.wim");
  for (std::size_t length = 0; length < bytes.size(); length += length < 256 ? 1 : 997) {
    const auto cut = core::ByteBuffer(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(length));
    const auto verdict = check_wim(core::MemorySource(cut), scratch);
    INFO(length << " bytes: " << verdict.text);
    CHECK(verdict.kind == WimVerdict::Kind::damaged);
    CHECK_FALSE(verdict.text.empty());
  }
  CHECK(std::filesystem::is_empty(scratch));
}

TEST_CASE("a WIM whose reading fails is not called damaged") {
  const TemporaryFolder folder;
  make_wim(folder, folder / "a.wim");
  FailingSource failing(std::make_shared<core::MemorySource>(read_bytes(folder / "a.wim")));
  failing.fail_at = 1;
  const auto verdict = check_wim(failing, folder.path());
  CHECK(verdict.kind == WimVerdict::Kind::unknown);
  CHECK(verdict.text.starts_with("io.read-failed"));
}

TEST_CASE("a WIM for which the scratch folder has no room is not read at all") {
  const TemporaryFolder folder;
  const auto verdict = check_wim(HugeSource(), folder.path());
  CHECK(verdict.kind == WimVerdict::Kind::unknown);
  CHECK(verdict.text.starts_with("io.disk-full"));
  CHECK(std::filesystem::is_empty(folder.path()));
}

TEST_CASE("a WIM of 4 GiB is too large and is not taken out") {
  const TemporaryFolder folder;
  ScriptedVolume volume;
  volume.size = 1ULL << 32;
  auto checks = file_checks();
  judge_recovery_files(checks, volume, {{"mainos.wim"}, {}, {}, {}}, folder.path());
  const Report report = checks.finish("unused");
  CHECK(finding(report, "recovery.wim-too-large").verdict == FindingVerdict::fail);
  CHECK(finding(report, "recovery.wim-too-large").actual == "mainos.wim 4294967296 bytes");
  CHECK(finding(report, "recovery.wim-damaged").verdict == FindingVerdict::not_checked);
}

TEST_CASE("a WIM one byte smaller is not too large") {
  const TemporaryFolder folder;
  ScriptedVolume volume;
  volume.size = (1ULL << 32) - 1;
  auto checks = file_checks();
  judge_recovery_files(checks, volume, {{"mainos.wim"}, {}, {}, {}}, folder.path());
  const Report report = checks.finish("unused");
  CHECK(finding(report, "recovery.wim-too-large").verdict == FindingVerdict::pass);
  CHECK(finding(report, "recovery.wim-damaged").verdict == FindingVerdict::not_checked);
}

TEST_CASE("a folder that cannot be read leaves its files unchecked and not missing") {
  const TemporaryFolder folder;
  ScriptedVolume volume;
  volume.error = core::fail("io.read-failed").error();
  auto checks = file_checks();
  judge_recovery_files(checks, volume, {{"mainos.wim"}, {"a.cmd"}, "version.txt", {}}, folder.path());
  const Report report = checks.finish("unused");
  for (const Finding& f : report.findings) CHECK(f.verdict == FindingVerdict::not_checked);
}
