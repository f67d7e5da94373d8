// SPDX-License-Identifier: GPL-3.0-or-later
// Paths and clashes of what goes onto a partition.
#include "flash/imaging/file_tree.hpp"

#include <sys/stat.h>

#include <catch2/catch.hpp>

#include "flash/imaging/scratch_folder.hpp"
#include "tests/unit/imaging/workspace_fixture.hpp"

using namespace imprint;
using imaging::FileTree;
using imaging::test::put_file;
using imaging::test::TemporaryFolder;

namespace fs = std::filesystem;

TEST_CASE("paths of a partition take both slashes and no detours") {
  CHECK(imaging::partition_path("\\Windows/.\\System32\\a.txt").value() == "Windows/System32/a.txt");
  CHECK(imaging::partition_path("").value().empty());
  for (const char* bad : {"a/../b", "..", "C:\\a", "a\\d:\\b"}) {
    CAPTURE(bad);
    const auto path = imaging::partition_path(bad);
    REQUIRE_FALSE(path);
    CHECK(path.error().id() == "workspace.path-escapes");
  }
  for (const char* bad : {"a*b", "a?", "a:b", "x|y", "tab\there", "dot.", "blank ", "bad\xFFutf8"}) {
    CAPTURE(bad);
    const auto path = imaging::partition_path(bad);
    REQUIRE_FALSE(path);
    CHECK(path.error().id() == "workspace.value-invalid");
  }
}

TEST_CASE("a name that two files want is refused whatever its case") {
  const TemporaryFolder folder;
  put_file(folder.path() / "a", "a");
  FileTree tree;
  REQUIRE(tree.add("Windows/File.txt", folder.path() / "a"));
  for (const char* taken : {"windows/FILE.TXT", "WINDOWS", "Windows/file.txt/below", ""}) {
    CAPTURE(taken);
    const auto added = tree.add(taken, folder.path() / "a");
    REQUIRE_FALSE(added);
    CHECK(added.error().id() == "workspace.destination-taken");
  }
}

TEST_CASE("folders keep the spelling that came first") {
  const TemporaryFolder folder;
  put_file(folder.path() / "a", "a");
  FileTree tree;
  REQUIRE(tree.add("EFI/Boot/one", folder.path() / "a"));
  REQUIRE(tree.add("efi/BOOT/two", folder.path() / "a"));
  CHECK(tree.directories() == std::vector<std::string>{"EFI", "EFI/Boot"});
  CHECK(tree.files()[1].path == "EFI/Boot/two");
}

TEST_CASE("a source that is no file is refused") {
  const TemporaryFolder folder;
  FileTree tree;
  CHECK(tree.add("a", folder.path() / "nothing").error().id() == "workspace.file-missing");
  CHECK(tree.add("a", folder.path()).error().id() == "workspace.file-missing");
  CHECK(tree.add_folder("", folder.path() / "nothing").error().id() == "workspace.file-missing");
}

TEST_CASE("a link that leads out of an added folder is refused") {
  const TemporaryFolder folder;
  put_file(folder.path() / "outside", "x");
  put_file(folder.path() / "tree/inside", "x");
  fs::create_symlink("../outside", folder.path() / "tree/link");
  FileTree tree;
  CHECK(tree.add_folder("", folder.path() / "tree").error().id() == "workspace.path-escapes");
}

TEST_CASE("a written tree has the wanted content and one time everywhere") {
  const TemporaryFolder folder;
  put_file(folder.path() / "in/sub/a", "alpha");
  FileTree tree;
  REQUIRE(tree.add_folder("top", folder.path() / "in"));
  fs::create_directory(folder.path() / "out");
  REQUIRE(tree.write_to(folder.path() / "out", 1000000000));
  CHECK(imaging::test::get_file(folder.path() / "out/top/sub/a") == "alpha");
  for (const char* path : {"out", "out/top", "out/top/sub", "out/top/sub/a"}) {
    CAPTURE(path);
    struct stat info{};
    REQUIRE(stat((folder.path() / path).c_str(), &info) == 0);
    CHECK(info.st_mtime == 1000000000);
  }
}

TEST_CASE("whole clusters are counted for files and folders") {
  const TemporaryFolder folder;
  put_file(folder.path() / "a", std::string(4097, 'a'));
  FileTree tree;
  REQUIRE(tree.add("d/a", folder.path() / "a"));
  CHECK(tree.allocated_bytes(4096) == 3 * 4096);
}

TEST_CASE("a scratch folder is gone afterwards, with the parent that was made for it") {
  const TemporaryFolder folder;
  {
    const auto scratch = imaging::ScratchFolder::create(folder.path() / "made/here");
    REQUIRE(scratch);
    put_file(scratch->path() / "x/y", "z");
    CHECK(scratch->make_folder("sub").has_value());
  }
  CHECK_FALSE(fs::exists(folder.path() / "made/here"));
}

TEST_CASE("a scratch folder leaves alone what was in its parent before") {
  const TemporaryFolder folder;
  put_file(folder.path() / "kept", "x");
  {
    CHECK(imaging::ScratchFolder::create(folder.path()).has_value());
  }
  CHECK(fs::exists(folder.path() / "kept"));
}

TEST_CASE("a scratch folder that cannot be made says so") {
  CHECK_FALSE(imaging::ScratchFolder::create("/proc/no-such-folder").has_value());
}

TEST_CASE("empty folders stay and links to folders are refused") {
  const TemporaryFolder folder;
  fs::create_directories(folder.path() / "in/empty/inner");
  fs::create_directory(folder.path() / "out");
  FileTree tree;
  REQUIRE(tree.add_folder("", folder.path() / "in"));
  CHECK_FALSE(tree.empty());
  CHECK(tree.directories() == std::vector<std::string>{"empty", "empty/inner"});
  REQUIRE(tree.write_to(folder.path() / "out", 0));
  CHECK(fs::is_directory(folder.path() / "out/empty/inner"));
  fs::create_directory_symlink("empty", folder.path() / "in/link");
  FileTree linked;
  const auto added = linked.add_folder("", folder.path() / "in");
  REQUIRE_FALSE(added);
  CHECK(added.error().id() == "workspace.value-invalid");
  CHECK(added.error().context_value("path") == (folder.path() / "in/link").string());
}

TEST_CASE("a folder cannot be where a file is") {
  const TemporaryFolder folder;
  put_file(folder.path() / "a", "a");
  FileTree tree;
  REQUIRE(tree.add("x", folder.path() / "a"));
  const auto added = tree.add_directory("X/y");
  REQUIRE_FALSE(added);
  CHECK(added.error().id() == "workspace.destination-taken");
}
