// SPDX-License-Identifier: GPL-3.0-or-later
// Workspaces that are right, and everything that can be wrong with one.
#include "flash/imaging/workspace.hpp"

#include <sys/fsuid.h>

#include <catch2/catch.hpp>

#include "tests/unit/imaging/workspace_fixture.hpp"

using namespace imprint;
using imaging::Workspace;
using imaging::test::make_small_workspace;
using imaging::test::package_xml;
using imaging::test::put_file;
using imaging::test::TemporaryFolder;

namespace fs = std::filesystem;

namespace {

// A small workspace with one more package of these elements, and how it is refused.
core::Error refusal(const fs::path& folder, const std::string& elements, const std::string& partition = "MainOS") {
  put_file(folder / "Packages/Extra/Extra.wm.xml", package_xml("Extra", partition, elements));
  put_file(folder / "Packages/Extra/a.txt", "a");
  const auto workspace = Workspace::open(folder);
  REQUIRE_FALSE(workspace);
  return workspace.error();
}
std::string file(std::string_view attributes) { return "<files>\n<file " + std::string(attributes) + " /></files>"; }

// Root reads every folder; while this lives, the thread has only the rights of another user.
class OrdinaryUser {
 public:
  OrdinaryUser() : before_(setfsuid(65534)) {}
  ~OrdinaryUser() { setfsuid(static_cast<uid_t>(before_)); }
  OrdinaryUser(const OrdinaryUser&) = delete;
  OrdinaryUser& operator=(const OrdinaryUser&) = delete;

 private:
  int before_;
};

}  // namespace

TEST_CASE("a workspace gives each partition its files") {
  const TemporaryFolder folder;
  make_small_workspace(folder.path());
  const auto workspace = Workspace::open(folder.path());
  INFO((workspace ? "" : workspace.error().message()));
  REQUIRE(workspace);
  CHECK(workspace->packages() == std::vector<std::string>{"Acorn.Test.Boot", "Acorn.Test.System"});
  CHECK(workspace->layout().partitions.size() == 4);
  CHECK(workspace->platform().platform_ids.front() == "Acorn.Test.Board.1");
  REQUIRE(workspace->tree(0).files().size() == 1);
  CHECK(workspace->tree(0).files()[0].path == "EFI/Boot/bootmgr.efi");
  REQUIRE(workspace->tree(1).files().size() == 2);
  CHECK(workspace->tree(1).files()[0].path == "Windows/System32/small.txt");
  CHECK(workspace->tree(1).files()[1].path == "Windows/Zeros.bin");
  CHECK(workspace->boot_configurations().size() == 1);
}

TEST_CASE("the sample workspace opens") {
  const auto workspace = Workspace::open(IMPRINT_SAMPLE_WORKSPACE);
  INFO((workspace ? "" : workspace.error().message()));
  REQUIRE(workspace);
  CHECK(workspace->boot_configurations().size() == 2);
  CHECK(workspace->platform().min_sector_count == 15155200);
}

TEST_CASE("each fixed file of a workspace is missed by name") {
  const auto missing =
      GENERATE(values<std::string>({"DeviceLayout.xml", "OEMDevicePlatform.xml", "Packages", "Recovery/WinPE",
                                    "Recovery/startrecovery.cmd", "Recovery/RecoveryImageVersion.txt"}));
  const TemporaryFolder folder;
  make_small_workspace(folder.path());
  fs::remove_all(folder.path() / missing);
  const auto workspace = Workspace::open(folder.path());
  REQUIRE_FALSE(workspace);
  CHECK(workspace.error().id() == "workspace.file-missing");
  CHECK(std::string(workspace.error().context_value("file")).ends_with(missing));
}

TEST_CASE("a folder that is not there is no workspace") {
  CHECK(Workspace::open("/no/such/workspace").error().id() == "workspace.file-missing");
}

TEST_CASE("a source that is not there is refused with file and line") {
  const TemporaryFolder folder;
  make_small_workspace(folder.path());
  const core::Error error = refusal(folder.path(), file("source=\"nothing.txt\""));
  CHECK(error.id() == "workspace.file-missing");
  CHECK(std::string(error.context_value("file")).ends_with("Extra.wm.xml"));
  CHECK(error.context_value("line") == "4");
}

TEST_CASE("a malformed package is refused with file and line") {
  const TemporaryFolder folder;
  make_small_workspace(folder.path());
  const core::Error error = refusal(folder.path(), "<files>\n</file>");
  CHECK(error.id() == "workspace.xml-malformed");
  CHECK(std::string(error.context_value("file")).ends_with("Extra.wm.xml"));
  CHECK(error.context_value("line") == "4");
}

TEST_CASE("packages that break a rule of the schema are refused") {
  const TemporaryFolder folder;
  make_small_workspace(folder.path());
  CHECK(refusal(folder.path(), file("name=\"x\"")).id() == "workspace.value-invalid");
  CHECK(refusal(folder.path(), file("source=\"a.txt\" name=\"b\\c\"")).id() == "workspace.value-invalid");
  CHECK(refusal(folder.path(), file("source=\"a.txt\" name=\"b*\"")).id() == "workspace.value-invalid");
  put_file(folder.path() / "Packages/Extra/Extra.wm.xml", "<identity xmlns=\"urn:other\"/>");
  CHECK(Workspace::open(folder.path()).error().id() == "workspace.value-invalid");
  put_file(folder.path() / "Packages/Extra/Extra.wm.xml",
           package_xml("Boot", "MainOS", ""));  // the identity of another
  CHECK(Workspace::open(folder.path()).error().id() == "workspace.value-invalid");
}

TEST_CASE("macros that are not known are refused, and variables make them known") {
  const TemporaryFolder folder;
  make_small_workspace(folder.path());
  const core::Error error = refusal(folder.path(), file("source=\"a.txt\" destinationDir=\"$(place)\""));
  CHECK(error.id() == "workspace.macro-unknown");
  CHECK(error.context_value("macro") == "place");
  CHECK(error.context_value("line") == "4");
  const auto workspace = Workspace::open(folder.path(), {{"Place", "There"}});
  REQUIRE(workspace);
  CHECK(workspace->tree(1).files()[0].path == "There/a.txt");
  CHECK(refusal(folder.path(), file("source=\"a.txt\" destinationDir=\"$(runtime.windows\"")).id() ==
        "workspace.macro-unknown");
}

TEST_CASE("macros are replaced without regard to case") {
  CHECK(imaging::expand_macros("$(runtime.BOOTDRIVE)\\x", {}).value() == "\\x");
  CHECK(imaging::expand_macros("$(runtime.windows)\\x\\$(n)", {{"N", "y"}}).value() == "Windows\\x\\y");
  CHECK(imaging::expand_macros("plain", {}).value() == "plain");
}

TEST_CASE("a partition that the layout does not have is refused") {
  const TemporaryFolder folder;
  make_small_workspace(folder.path());
  CHECK(refusal(folder.path(), "", "PLAT").id() == "workspace.partition-unknown");
}

TEST_CASE("paths that leave the workspace or the partition are refused") {
  const TemporaryFolder outer;
  const fs::path folder = outer.path() / "workspace";
  make_small_workspace(folder);
  put_file(outer.path() / "secret.txt", "x");
  CHECK(refusal(folder, file("source=\"..\\..\\..\\secret.txt\"")).id() == "workspace.path-escapes");
  CHECK(refusal(folder, file("source=\"/etc/passwd\"")).id() == "workspace.path-escapes");
  CHECK(refusal(folder, file("source=\"C:\\secret.txt\"")).id() == "workspace.path-escapes");
  CHECK(refusal(folder, file("source=\"a.txt\" destinationDir=\"$(runtime.root)\\..\\x\"")).id() ==
        "workspace.path-escapes");
  CHECK(refusal(folder, file("source=\"a.txt\" destinationDir=\"D:\\x\"")).id() == "workspace.path-escapes");
  fs::create_symlink(outer.path() / "secret.txt", folder / "Packages/Extra/link.txt");
  CHECK(refusal(folder, file("source=\"link.txt\"")).id() == "workspace.path-escapes");
}

TEST_CASE("a source elsewhere in the workspace is allowed") {
  const TemporaryFolder folder;
  make_small_workspace(folder.path());
  put_file(folder.path() / "Packages/Extra/Extra.wm.xml",
           package_xml("Extra", "MainOS",
                       file("source=\"..\\..\\DeviceLayout.xml\" destinationDir=\"$(runtime.windows)\\ImageUpdate\"")));
  const auto workspace = Workspace::open(folder.path());
  REQUIRE(workspace);
  CHECK(workspace->tree(1).files()[0].path == "Windows/ImageUpdate/DeviceLayout.xml");
}

TEST_CASE("what this version does not build is refused and not left out") {
  const TemporaryFolder folder;
  make_small_workspace(folder.path());
  CHECK(refusal(folder.path(), "<regKeys />").id() == "workspace.element-unsupported");
  CHECK(refusal(folder.path(), "<files><folder /></files>").id() == "workspace.element-unsupported");
  CHECK(refusal(folder.path(), file("source=\"a.txt\" buildFilter=\"x\"")).id() == "workspace.element-unsupported");
}

TEST_CASE("a file that another package brings already is refused with file and line") {
  const TemporaryFolder folder;
  make_small_workspace(folder.path());
  const core::Error error = refusal(
      folder.path(), file("source=\"a.txt\" destinationDir=\"$(runtime.windows)\" name=\"ZEROS.bin\""), "MainOS");
  // Extra is read before System, so that System's file is the second one.
  CHECK(error.id() == "workspace.destination-taken");
  CHECK(std::string(error.context_value("file")).ends_with("System.wm.xml"));
  CHECK_FALSE(error.context_value("line").empty());
}

TEST_CASE("boot configuration without an EFIESP partition is refused") {
  const TemporaryFolder folder;
  make_small_workspace(folder.path());
  put_file(folder.path() / "DeviceLayout.xml", imaging::test::layout_xml(imaging::test::partition_xml(
                                                   "MainOS", "NTFS", "<UseAllSpace>true</UseAllSpace>")));
  fs::remove_all(folder.path() / "Packages/Boot");
  put_file(folder.path() / "Packages/Extra/b.xml", "<x/>");
  CHECK(refusal(folder.path(), "<bcdStore source=\"b.xml\" />").id() == "workspace.partition-unknown");
}

TEST_CASE("files for a partition without a file system are refused") {
  const TemporaryFolder folder;
  make_small_workspace(folder.path());
  put_file(
      folder.path() / "DeviceLayout.xml",
      imaging::test::layout_xml(imaging::test::partition_xml("EFIESP", "FAT", "<TotalSectors>32768</TotalSectors>") +
                                imaging::test::partition_xml("MainOS", "", "<UseAllSpace>true</UseAllSpace>")));
  CHECK(refusal(folder.path(), file("source=\"a.txt\"")).id() == "workspace.value-invalid");
}

TEST_CASE("package definitions are found in folders of any depth") {
  const TemporaryFolder folder;
  make_small_workspace(folder.path());
  put_file(folder.path() / "Packages/Group/Sub/Deep/Deep.WM.xml",
           package_xml("Deep", "MainOS", file("source=\"a.txt\"")));
  put_file(folder.path() / "Packages/Group/Sub/Deep/a.txt", "a");
  put_file(folder.path() / "Packages/Top.wm.xml", package_xml("Top", "MainOS", ""));
  const auto workspace = Workspace::open(folder.path());
  INFO((workspace ? "" : workspace.error().message()));
  REQUIRE(workspace);
  CHECK(workspace->packages() ==
        std::vector<std::string>{"Acorn.Test.Boot", "Acorn.Test.Deep", "Acorn.Test.System", "Acorn.Test.Top"});
  CHECK(workspace->tree(1).files().size() == 3);
}

TEST_CASE("package definitions of the old schema are refused") {
  const TemporaryFolder folder;
  make_small_workspace(folder.path());
  put_file(folder.path() / "Packages/Old/Sub/Old.PKG.xml", "<Package/>");
  const auto workspace = Workspace::open(folder.path());
  REQUIRE_FALSE(workspace);
  CHECK(workspace.error().id() == "workspace.element-unsupported");
  CHECK(std::string(workspace.error().context_value("file")).ends_with("Old.PKG.xml"));
}

TEST_CASE("a folder of packages that cannot be read is an error and not skipped") {
  const TemporaryFolder folder;
  make_small_workspace(folder.path());
  const fs::path locked = folder.path() / "Packages/Locked";
  fs::create_directory(locked);
  fs::permissions(folder.path(), fs::perms(0755));
  fs::permissions(locked, fs::perms::none);
  std::string id;
  {
    const OrdinaryUser user;
    const auto workspace = Workspace::open(folder.path());
    id = workspace ? "" : workspace.error().id();
  }
  fs::permissions(locked, fs::perms::owner_all);
  CHECK(id.starts_with("io."));
}

TEST_CASE("packages behind a link to a folder are refused and not left out") {
  const TemporaryFolder folder;
  make_small_workspace(folder.path());
  fs::create_directory_symlink("System", folder.path() / "Packages/Link");
  const auto workspace = Workspace::open(folder.path());
  REQUIRE_FALSE(workspace);
  CHECK(workspace.error().id() == "workspace.value-invalid");
  CHECK(std::string(workspace.error().context_value("path")).ends_with("Packages/Link"));
}

TEST_CASE("fixed files and folders that lead out of the workspace are refused") {
  const auto linked = GENERATE(values<std::string>(
      {"DeviceLayout.xml", "OEMDevicePlatform.xml", "Packages", "Packages/System/System.wm.xml", "Recovery",
       "Recovery/WinPE", "Recovery/startrecovery.cmd", "Recovery/RecoveryImageVersion.txt"}));
  CAPTURE(linked);
  const TemporaryFolder outer;
  const fs::path folder = outer.path() / "workspace";
  make_small_workspace(folder);
  fs::rename(folder / linked, outer.path() / "outside");
  fs::create_symlink(outer.path() / "outside", folder / linked);
  const auto workspace = Workspace::open(folder);
  REQUIRE_FALSE(workspace);
  CHECK(workspace.error().id() == "workspace.path-escapes");
}

TEST_CASE("a boot store or recovery content without a file system to hold it is refused") {
  const auto [efiesp, mmos] = GENERATE(table<std::string, std::string>({{"", "FAT32"}, {"FAT", ""}}));
  CAPTURE(efiesp, mmos);
  const TemporaryFolder folder;
  make_small_workspace(folder.path());
  put_file(
      folder.path() / "DeviceLayout.xml",
      imaging::test::layout_xml(imaging::test::partition_xml("EFIESP", efiesp, "<TotalSectors>32768</TotalSectors>") +
                                imaging::test::partition_xml("MMOS", mmos, "<TotalSectors>81920</TotalSectors>") +
                                imaging::test::partition_xml("MainOS", "NTFS", "<UseAllSpace>true</UseAllSpace>")));
  put_file(folder.path() / "Packages/Boot/Boot.wm.xml",
           package_xml("Boot", "MainOS", "<bcdStore source=\"Boot.BCD.xml\" />"));
  const auto workspace = Workspace::open(folder.path());
  REQUIRE_FALSE(workspace);
  CHECK(workspace.error().id() == "workspace.value-invalid");
}
