// SPDX-License-Identifier: GPL-3.0-or-later
// A whole imprintd over a disk of its own that fills up, or that the kernel makes read-only, while four slots are
// flashed. Needs the right to mount, in a mount namespace of the test: what it may not do is said.
#include <sched.h>
#include <sys/mount.h>

#include "tests/unit/daemon/shift.hpp"

using namespace imprint;
using namespace imprint::daemon::test;

namespace {

bool has_own_mounts() {
  static const bool done =
      ::unshare(CLONE_NEWNS) == 0 && ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0;
  return done;
}

bool run(const std::string& command) { return std::system(("(" + command + ") >/dev/null 2>&1").c_str()) == 0; }

// Where the records of the site are from then on; what was there before is copied.
class RecordsDisk {
 public:
  explicit RecordsDisk(const Site& site) : folder_(site.records_file().parent_path()) {}
  ~RecordsDisk() { leave(); }
  RecordsDisk(const RecordsDisk&) = delete;
  RecordsDisk& operator=(const RecordsDisk&) = delete;

  [[nodiscard]] bool mount_memory(const Site& site) {
    is_mounted_ = has_own_mounts() && ::mount("tmpfs", folder_.c_str(), "tmpfs", 0, "size=4m") == 0;
    if (is_mounted_) reset(site);
    return is_mounted_;
  }
  // ext4 in a file, which becomes read-only when something is wrong with it.
  [[nodiscard]] bool mount_ext4(const Site& site) {
    image_ = (site.folder / "disk.img").native();
    is_mounted_ = has_own_mounts() && run("truncate -s 32M " + image_) && run("mkfs.ext4 -q -F " + image_) && again();
    if (is_mounted_) reset(site);
    return is_mounted_;
  }
  // Records as they were at first. On the medium: a copy that is still on its way there is lost with all that a station
  // synced beside it.
  void reset(const Site& site) const {
    site.reset_files();
    const int fd = ::open(folder_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    REQUIRE(fd >= 0);
    CHECK(::syncfs(fd) == 0);
    ::close(fd);
  }
  // After what befell it, checked as at a start of the machine.
  [[nodiscard]] bool again() {
    leave();
    static_cast<void>(run("e2fsck -fy " + image_));
    return is_mounted_ = run("mount -o loop,errors=remount-ro " + image_ + " " + folder_.native());
  }
  void leave() {
    if (std::exchange(is_mounted_, false)) ::umount2(folder_.c_str(), MNT_DETACH);
  }

  void fill() const {
    std::ofstream file(folder_ / "filler", std::ios::binary);
    const std::string block(4096, 'x');
    while (file.write(block.data(), static_cast<std::streamsize>(block.size())).flush()) {
    }
  }
  void make_room() const { fs::remove(folder_ / "filler"); }
  [[nodiscard]] bool make_read_only() const {
    // The kernel answers this with an error of its own.
    static_cast<void>(
        run("echo 1 > /sys/fs/ext4/$(basename $(findmnt -no SOURCE " + folder_.native() + "))/trigger_fs_error"));
    return !std::ofstream(folder_ / "probe");
  }

 private:
  fs::path folder_;
  std::string image_;
  bool is_mounted_ = false;
};

json::array slots_of(Calls& call) {
  REQUIRE(call("station.status"));
  return call.result.at("slots").as_array();
}

// Every slot has ended, or waits for records that take its end.
bool all_wait_or_ended(Calls& call, std::size_t ended) {
  std::size_t waiting = 0;
  const json::array slots = slots_of(call);
  for (const json::value& slot : slots) {
    waiting += slot.at("phase") == "record" ? 1 : 0;
    if (slot.at("phase") == "record") CHECK(slot.at("verdict").is_null());
  }
  return ended + waiting == 4;
}

struct Told {
  std::vector<db::AttemptId> passes;
  std::size_t ended = 0;
};

// What has been told by now, and what comes in a moment.
void listen(api::Client& client, Told& told, milliseconds patience) {
  for (;;) {
    const auto event = client.next_event(patience);
    if (!event || !*event) return;
    if ((*event)->at("kind") != "attempt") continue;
    ++told.ended;
    if ((*event)->at("data").at("verdict") == "passed")
      told.passes.push_back((*event)->at("data").at("attempt").as_int64());
  }
}

// The daemon flashes four slots; after so many events of theirs, `befall`.
template <class Befall>
void flash_until(api::Client& client, Calls& call, Told& told, std::size_t moment, const Befall& befall) {
  for (const int number : {1, 2, 3, 4}) {
    const std::string slot = "A" + std::to_string(number);
    REQUIRE(call("training.plug", {{"slot", slot}, {"number", number}}));
  }
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  for (std::size_t events = 0; events < moment && told.ended < 4;) {
    REQUIRE(std::chrono::steady_clock::now() < deadline);
    const auto event = client.next_event(milliseconds(100));
    REQUIRE(event.has_value());
    if (!*event) continue;
    events += (*event)->at("kind") == "slot" ? 1 : 0;
    if ((*event)->at("kind") != "attempt") continue;
    ++told.ended;
    if ((*event)->at("data").at("verdict") == "passed")
      told.passes.push_back((*event)->at("data").at("attempt").as_int64());
  }
  befall();
  while (!all_wait_or_ended(call, told.ended)) {
    REQUIRE(std::chrono::steady_clock::now() < deadline);
    listen(client, told, milliseconds(20));
  }
}

constexpr std::size_t kEventsOfFour = 40;  // of a flash of four slots, some more or less

}  // namespace

TEST_CASE(
    "a disk that is full from any moment of a flash on costs no wrong PASS, and with room again all is recorded") {
  Site site;
  site.keep_as_template();
  RecordsDisk disk(site);
  if (!disk.mount_memory(site)) {
    WARN("no right to mount: not tested here");
    return;
  }
  for (std::size_t moment = 0; moment < kEventsOfFour; moment += stride(7)) {
    CAPTURE(moment);
    disk.reset(site);
    Told told;
    {
      Shift shift(site);
      auto& [daemon, client, call] = shift;
      flash_until(*client, call, told, moment, [&] { disk.fill(); });
      CHECK_FALSE(call("orders.create", {{"number", "WO-2"}, {"product", "lamp"}, {"quantity", 5}}));
      CHECK(call.error == "io.disk-full");
      disk.make_room();
      const auto deadline = std::chrono::steady_clock::now() + kPatience;
      while (told.ended < 4) {
        REQUIRE(std::chrono::steady_clock::now() < deadline);
        listen(*client, told, milliseconds(100));
      }
      const json::array slots = slots_of(call);
      for (const json::value& slot : slots) CHECK(slot.at("phase") != "record");
      CHECK(call("orders.create", {{"number", "WO-2"}, {"product", "lamp"}, {"quantity", 5}}));
      daemon.signal(SIGTERM);
      CHECK(daemon.wait() == 0);
    }
    check_after(site, told.passes);
  }
}

TEST_CASE("a disk that is full when the daemon starts keeps it from starting, and takes nothing from the records") {
  Site site;
  site.keep_as_template();
  RecordsDisk disk(site);
  if (!disk.mount_memory(site)) {
    WARN("no right to mount: not tested here");
    return;
  }
  disk.fill();
  {
    Process daemon(site);
    CHECK(WEXITSTATUS(daemon.wait()) == 1);
  }
  disk.make_room();
  check_after(site, {});
}

TEST_CASE("records that the kernel makes read-only in mid-flash cost no wrong PASS, and the daemon stops and starts") {
  Site site;
  site.keep_as_template();
  RecordsDisk disk(site);
  if (!disk.mount_ext4(site)) {
    WARN("no right to mount: not tested here");
    return;
  }
  for (std::size_t moment = 0; moment < kEventsOfFour; moment += stride(13)) {
    CAPTURE(moment);
    disk.reset(site);
    Told told;
    {
      Shift shift(site);
      auto& [daemon, client, call] = shift;
      flash_until(*client, call, told, moment, [&] { REQUIRE(disk.make_read_only()); });
      CHECK_FALSE(call("orders.create", {{"number", "WO-2"}, {"product", "lamp"}, {"quantity", 5}}));
      const auto start = std::chrono::steady_clock::now();
      daemon.signal(SIGTERM);
      static_cast<void>(daemon.wait());
      CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(10));
    }
    REQUIRE(disk.again());
    check_after(site, told.passes);
  }
}
