// SPDX-License-Identifier: GPL-3.0-or-later
// What a slot file says after devices were plugged in one by one.
#include "station/cli/slot_learner.hpp"

#include <catch2/catch.hpp>
#include <fstream>
#include <iterator>

#include "tests/unit/fixtures/scratch_folder.hpp"

using namespace imprint;
using station::SlotMap;
using station::cli::Newcomer;
using station::cli::SlotLearner;
namespace fs = std::filesystem;

namespace {

using namespace std::chrono_literals;

struct Line {
  fixture::ScratchFolder folder;
  fs::path file = folder / "learned.conf";
  SlotLearner::Clock::time_point now{};

  SlotLearner learner(std::string_view known = "") const {
    auto map = SlotMap::parse(known, "known.conf");
    REQUIRE(map);
    auto made = SlotLearner::make(file, std::move(*map));
    REQUIRE(made);
    return std::move(*made);
  }
  void put(const std::string& text) const { std::ofstream(file) << text; }
  // The file without its comments.
  std::string lines() const {
    std::ifstream in(file);
    std::string out;
    for (std::string line; std::getline(in, line);) {
      if (!line.starts_with('#')) out += line + '\n';
    }
    return out;
  }
  std::string plug(SlotLearner& learner, const Newcomer& newcomer) {
    const auto words = learner.arrive(newcomer, now);
    REQUIRE(words);
    return *words;
  }
};

Newcomer board(const std::string& port) { return {.port = {port}, .product = "Board"}; }

bool says(const std::string& words, std::string_view part) { return words.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("devices become slots in the order in which they come, and the file holds each at once") {
  Line line;
  auto learner = line.learner();
  CHECK_FALSE(fs::exists(line.file));
  const auto words = line.plug(learner, board("1-2.3"));
  CHECK(says(words, "Slot 1 is port 1-2.3: Board"));
  CHECK(line.lines() == "1 = 1-2.3\n");
  line.plug(learner, {.port = {"1-2.1"}, .product = "Card", .is_disk = true});
  CHECK(line.lines() == "1 = 1-2.3\n2 = 1-2.1 disk\n");
  CHECK(learner.learned() == 2);
  CHECK(SlotMap::load({line.folder.path()})->slot_of({"1-2.1"})->disks == devices::DisksAllowed::removable);
}

TEST_CASE("both halves of a socket are learned with one device, whichever of them it came at") {
  Line line;
  auto learner = line.learner();
  line.plug(learner, {.port = {"2-1"}, .peer = devices::PortPath{"1-1"}});
  CHECK(line.lines() == "1 = 1-1 2-1\n");
  CHECK(says(line.plug(learner, board("1-1")), "slot 1 already"));
  CHECK(line.lines() == "1 = 1-1 2-1\n");
}

TEST_CASE("numbers go on after the slots that there are, and ports that have a slot keep it") {
  Line line;
  line.put("5 = 1-9 # mine\nleft = 1-8");
  auto learner = line.learner("3 = 1-3\nhub-* = 1-4.*\n");
  CHECK(says(line.plug(learner, board("1-3")), "slot 3 already"));
  CHECK(says(line.plug(learner, board("1-4.2")), "slot hub-2 already"));
  CHECK(says(line.plug(learner, board("1-9")), "slot 5 already"));
  CHECK(learner.learned() == 0);
  CHECK(says(line.plug(learner, {.port = {"2-3"}, .peer = devices::PortPath{"1-3"}}), "add it to that line"));
  CHECK(learner.learned() == 0);
  line.plug(learner, board("1-5"));
  CHECK(line.lines() == "5 = 1-9 # mine\nleft = 1-8\n6 = 1-5\n");
}

TEST_CASE("a number that a star gives to a port is not taken") {
  Line line;
  auto learner = line.learner("* = 1-4.*\n");
  line.plug(learner, board("1-5"));
  const auto both = SlotMap::parse("* = 1-4.*\n" + line.lines(), "both.conf");
  REQUIRE(both);
  CHECK(both->slot_of({"1-4.1"})->name == "1");
  CHECK(both->slot_of({"1-4.255"})->name == "255");
  CHECK(both->slot_of({"1-5"})->name == "256");
}

TEST_CASE("what is no device of a slot is said and not learned") {
  Line line;
  auto learner = line.learner();
  const auto words = line.plug(learner, {.port = {"1-2"}, .product = "Keys", .refusal = "It is a keyboard."});
  CHECK(says(words, "Keys is not learned. It is a keyboard."));
  CHECK(learner.learned() == 0);
  CHECK_FALSE(fs::exists(line.file));
}

TEST_CASE("the last slot is taken back by pulling its device and plugging it in again") {
  Line line;
  auto learner = line.learner();
  line.plug(learner, board("1-1"));
  line.plug(learner, board("1-2"));
  learner.leave({"1-2"}, line.now);
  line.now += SlotLearner::kUndoPause;
  CHECK(says(line.plug(learner, board("1-2")), "Slot 2 is taken back"));
  CHECK(line.lines() == "1 = 1-1\n");
  CHECK(says(line.plug(learner, board("1-2")), "Slot 2 is port 1-2"));
  CHECK(line.lines() == "1 = 1-1\n2 = 1-2\n");
}

TEST_CASE("a device that starts again, or a slot before the last, takes nothing back") {
  Line line;
  auto learner = line.learner();
  line.plug(learner, board("1-1"));
  line.plug(learner, board("1-2"));
  learner.leave({"1-2"}, line.now);
  line.now += SlotLearner::kUndoPause - 1ms;
  CHECK(says(line.plug(learner, board("1-2")), "slot 2 already"));
  learner.leave({"1-1"}, line.now);
  line.now += 1h;
  CHECK(says(line.plug(learner, board("1-1")), "slot 1 already"));
  CHECK(line.lines() == "1 = 1-1\n2 = 1-2\n");
}

TEST_CASE("a file that is empty again is gone, unless it was there before") {
  for (const bool was_there : {false, true}) {
    Line line;
    if (was_there) line.put("# of somebody\n");
    auto learner = line.learner();
    line.plug(learner, board("1-1"));
    learner.leave({"1-1"}, line.now);
    line.now += 10s;
    line.plug(learner, board("1-1"));
    CHECK(learner.learned() == 0);
    CHECK(fs::exists(line.file) == was_there);
  }
}

TEST_CASE("a file that cannot be written loses nothing, and the slot is not learned") {
  Line line;
  auto learner = line.learner();
  line.plug(learner, board("1-1"));
  fs::remove(line.file);
  fs::create_directory(line.file);  // which root may not replace either
  CHECK_FALSE(learner.arrive(board("1-2"), line.now));
  CHECK(learner.learned() == 1);
  fs::remove(line.file);
  line.plug(learner, board("1-2"));
  CHECK(line.lines() == "1 = 1-1\n2 = 1-2\n");
}

TEST_CASE("a file that is no slot file is not added to") {
  Line line;
  line.put("not a slot\n");
  const auto learner = SlotLearner::make(line.file, SlotMap());
  REQUIRE_FALSE(learner);
  CHECK(learner.error().id() == "station.slot-map-invalid");
}
