// SPDX-License-Identifier: GPL-3.0-or-later
// Files appear whole or not at all, and nothing is left beside them.
#include "flash/core/atomic_file.hpp"

#include <catch2/catch.hpp>
#include <fstream>

#include "tests/unit/fixtures/scratch_folder.hpp"

using namespace imprint::core;
using imprint::fixture::ScratchFolder;

TEST_CASE("a committed file has the final name and nothing is left aside") {
  const ScratchFolder folder;
  {
    AtomicFile file(folder / "image.ffu");
    std::ofstream(file.temporary_path()) << "content";
    CHECK_FALSE(std::filesystem::exists(folder / "image.ffu"));
    REQUIRE(file.commit());
  }
  CHECK(read_text_file(folder / "image.ffu") == "content");
  CHECK(folder.entries() == 1);
}

TEST_CASE("a file that was not committed leaves nothing behind") {
  const ScratchFolder folder;
  {
    const AtomicFile file(folder / "image.ffu");
    std::ofstream(file.temporary_path()) << "half of it";
    CHECK(folder.entries() == 1);
  }
  CHECK(folder.entries() == 0);
}

TEST_CASE("the file that was there stays until the commit replaces it") {
  const ScratchFolder folder;
  REQUIRE(write_file(folder / "records", as_bytes("old")));
  {
    const AtomicFile file(folder / "records");
    std::ofstream(file.temporary_path()) << "new";
  }
  CHECK(read_text_file(folder / "records") == "old");
  REQUIRE(write_file(folder / "records", as_bytes("new")));
  CHECK(read_text_file(folder / "records") == "new");
  CHECK(folder.entries() == 1);
}

TEST_CASE("two writers of one name do not write into each other's file") {
  const ScratchFolder folder;
  AtomicFile first(folder / "x");
  AtomicFile second(folder / "x");
  CHECK(first.temporary_path() != second.temporary_path());
  CHECK(first.temporary_path().parent_path() == folder.path());
}

TEST_CASE("a commit that cannot rename fails and cleans up") {
  const ScratchFolder folder;
  std::filesystem::create_directory(folder / "taken");
  std::ofstream(folder / "taken/inside") << "x";
  const auto written = write_file(folder / "taken", as_bytes("content"));
  REQUIRE_FALSE(written);
  CHECK(written.error().id() == "io.open-failed");
  CHECK(folder.entries() == 1);
  CHECK(std::filesystem::exists(folder / "taken/inside"));
}

TEST_CASE("a commit of a file that was never written fails") {
  const ScratchFolder folder;
  AtomicFile file(folder / "nothing");
  CHECK(file.commit().error().id() == "io.not-found");
  CHECK(folder.entries() == 0);
}

TEST_CASE("writing into a folder that is not there fails with its name") {
  const ScratchFolder folder;
  const auto written = write_file(folder / "missing/file", as_bytes("x"));
  REQUIRE_FALSE(written);
  CHECK(written.error().id() == "io.not-found");
  CHECK(written.error().context_value("file").find("missing/file") != std::string_view::npos);
}

TEST_CASE("a text file over the limit is refused before it is read") {
  const ScratchFolder folder;
  REQUIRE(write_file(folder / "text", as_bytes("0123456789")));
  CHECK(read_text_file(folder / "text", 10) == "0123456789");
  const auto refused = read_text_file(folder / "text", 9);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().id() == "io.read-failed");
  CHECK(refused.error().context_value("size") == "10");
  CHECK(read_text_file(folder / "missing").error().id() == "io.not-found");
}

TEST_CASE("an empty file is written and read as such") {
  const ScratchFolder folder;
  REQUIRE(write_file(folder / "empty", {}));
  CHECK(read_text_file(folder / "empty") == "");
}
