// SPDX-License-Identifier: GPL-3.0-or-later
// Folders as a hostile process leaves them: measured or refused, and removed.
#include "station/jobs/job_tree.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <fstream>

#include "station/jobs/job_folder.hpp"
#include "tests/unit/fixtures/scratch_folder.hpp"

using namespace imprint;
using namespace imprint::station::jobs;
namespace fs = std::filesystem;

namespace {

// By descriptors: its path would become longer than any may be.
void nest(const fs::path& folder, unsigned depth) {
  int at = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY);
  for (unsigned i = 0; i < depth; ++i) {
    REQUIRE(::mkdirat(at, "down", 0700) == 0);
    const int below = ::openat(at, "down", O_RDONLY | O_DIRECTORY);
    ::close(at);
    at = below;
  }
  REQUIRE(at >= 0);
  ::close(at);
}

struct Tree {
  fixture::ScratchFolder scratch;
  fs::path folder = scratch.path() / "tree";
  Tree() { fs::create_directory(folder); }
};

std::string refusal(const fs::path& folder) {
  const auto bytes = bytes_in(folder);
  return bytes ? "none" : std::string(bytes.error().id());
}

}  // namespace

TEST_CASE("a tree is measured to the bottom that is allowed") {
  const Tree tree;
  nest(tree.folder, kMostDepth);
  std::ofstream(tree.folder / "down/file") << std::string(1U << 20, 'x');
  const auto bytes = bytes_in(tree.folder);
  REQUIRE(bytes);
  CHECK(*bytes >= 1U << 20);
}

TEST_CASE("a tree that is too deep is too large") {
  const Tree tree;
  nest(tree.folder, kMostDepth + 1);
  CHECK(refusal(tree.folder) == "job.output-too-large");
}

TEST_CASE("a folder that hides what it holds is too large") {
  const Tree tree;
  fs::create_directory(tree.folder / "hidden");
  CHECK(refusal(tree.folder) == "none");
  REQUIRE(::chmod((tree.folder / "hidden").c_str(), 0300) == 0);
  CHECK(refusal(tree.folder) == "job.output-too-large");
}

TEST_CASE("more entries than are counted are too large") {
  const Tree tree;
  for (std::size_t i = 0; i < kMostEntries; ++i)
    REQUIRE(::mknod((tree.folder / std::to_string(i)).c_str(), S_IFREG, 0) == 0);
  CHECK(refusal(tree.folder) == "none");
  std::ofstream(tree.folder / "one more") << "x";
  CHECK(refusal(tree.folder) == "job.output-too-large");
}

TEST_CASE("a tree is removed whatever its depth and the modes of its folders") {
  const Tree tree;
  nest(tree.folder, 3000);
  std::ofstream(tree.folder / "lifted-0") << "in the way";
  fs::create_directories(tree.folder / "hidden/below");
  REQUIRE(::chmod((tree.folder / "hidden").c_str(), 0) == 0);
  CHECK(remove_tree(tree.folder));
  CHECK_FALSE(fs::exists(tree.folder));
  CHECK(remove_tree(tree.folder));
}

TEST_CASE("a link in a tree is removed, and not what it points to") {
  const Tree tree;
  const fs::path other = tree.scratch.path() / "other";
  fs::create_directory(other);
  REQUIRE(::chmod(other.c_str(), 0750) == 0);
  std::ofstream(other / "file") << "stays";
  fs::create_directory_symlink(other, tree.folder / "link");
  CHECK(remove_tree(tree.folder));
  CHECK(fs::exists(other / "file"));
  CHECK(fs::status(other).permissions() == static_cast<fs::perms>(0750));
}

TEST_CASE("what cannot be removed is an error with its name") {
  const auto removed = remove_tree("/proc/self/task");
  REQUIRE_FALSE(removed);
  CHECK(removed.error().id().starts_with("io."));
}

TEST_CASE("what an interrupted job nested deep is gone when the folders open again") {
  const Tree tree;
  fs::create_directory(tree.folder / "7.part");
  nest(tree.folder / "7.part", 200);
  bool told = false;
  REQUIRE(JobFolders::open(tree.folder, 1, [&](const core::Error&) { told = true; }));
  CHECK_FALSE(told);
  CHECK_FALSE(fs::exists(tree.folder / "7.part"));
}
