// SPDX-License-Identifier: GPL-3.0-or-later
// Each phase of an attempt has a deadline and hears a cancel, and says of itself what it does.
#include <algorithm>
#include <set>

#include "tests/unit/station/scripted_line.hpp"

using namespace imprint;
using namespace imprint::station;
using namespace imprint::station::test;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

struct Case {
  Hang hang;
  SlotPhase phase;
  const char* during;
};
constexpr Case kCases[] = {
    {Hang::identify, SlotPhase::identify, "identifying"},
    {Hang::admit, SlotPhase::admit, "admitting"},
    {Hang::write, SlotPhase::write, "writing"},
    {Hang::confirm, SlotPhase::write, "confirming"},
    {Hang::read_back, SlotPhase::read_back, "reading back"},
    {Hang::inspect, SlotPhase::inspect, "inspecting"},
    {Hang::finish, SlotPhase::finish, "finishing"},
};

Recipe recipe_for(Hang hang) {
  Recipe what = recipe();
  what.check_bcd = hang == Hang::inspect;  // which the fixture's disk has none of
  if (hang == Hang::finish) what.flash.after_pass = engine::AfterPass::reboot;
  return what;
}

void make_short(engine::PhaseLimits& limits, Hang hang) {
  milliseconds* const of_phase[] = {nullptr,         &limits.identify,  &limits.admit,   &limits.write,
                                    &limits.confirm, &limits.read_back, &limits.inspect, &limits.finish};
  *of_phase[static_cast<std::size_t>(hang)] = milliseconds(100);
}

}  // namespace

TEST_CASE("a device that hangs in any phase ends by the phase's deadline, and the slot takes the next one") {
  for (const Case& one : kCases) {
    INFO(one.during);
    Recipe what = recipe_for(one.hang);
    make_short(what.flash.limits, one.hang);
    ScriptedLine line(std::move(what));
    const AttemptResult hung = line.flash(one.hang);
    if (one.hang == Hang::finish) {
      // The unit is proved and recorded: what happens to it afterwards changes nothing.
      CHECK(hung.verdict == db::AttemptVerdict::passed);
      CHECK(hung.note.find("finishing") != std::string::npos);
    } else {
      CHECK(hung.verdict == db::AttemptVerdict::failed);
      REQUIRE(hung.error.has_value());
      CHECK(hung.error->id() == "job.deadline");
      CHECK(hung.error->context_value("during") == one.during);
      CHECK(line.line.records->steps(*hung.id)->back().error_id == "job.deadline");
    }
    const AttemptResult next = line.flash();
    CHECK(next.verdict == (one.hang == Hang::inspect ? db::AttemptVerdict::failed : db::AttemptVerdict::passed));
    if (next.error) CHECK(next.error->id() == "inspect.failed");
  }
}

TEST_CASE("a slot is cancelled within a second in any phase, and as often as it is asked for") {
  for (const Case& one : kCases) {
    INFO(one.during);
    ScriptedLine line(recipe_for(one.hang));
    CHECK_FALSE(line.session->cancel("1"));
    line.bus.script(one.hang, true);
    line.bus.plug();
    line.bus.wait_until_it_hangs();
    CHECK(line.session->snapshot().at(0).phase == one.phase);
    CHECK(line.session->cancel("1"));
    CHECK(line.session->cancel("1"));
    CHECK_FALSE(line.session->cancel("2"));
    const auto told = std::chrono::steady_clock::now();
    line.bus.let_go();
    const AttemptResult result = Line::next(*line.session);
    CHECK(std::chrono::steady_clock::now() - told < seconds(1));
    CHECK(result.verdict == (one.hang == Hang::finish ? db::AttemptVerdict::passed : db::AttemptVerdict::aborted));
    if (one.hang != Hang::finish) CHECK(line.line.rows().at(0).close->error_id == "job.cancelled");
    line.bus.unplug();
    const AttemptResult next = line.flash();
    CHECK(next.verdict == (one.hang == Hang::inspect ? db::AttemptVerdict::failed : db::AttemptVerdict::passed));
  }
}

TEST_CASE("a read-back that failed is made again where the recipe names the error, and each try is a row") {
  Recipe what = recipe();
  what.flash.retries = {.times = 2, .worth = {"device.timed-out"}};
  ScriptedLine line(what);
  line.bus.fail_reads(2);
  const AttemptResult passed = line.flash();
  CHECK(passed.verdict == db::AttemptVerdict::passed);
  std::vector<std::pair<std::string, std::string>> rows;
  const auto steps = line.line.records->steps(*passed.id).value();
  for (const db::Step& step : steps) rows.emplace_back(step.name, step.error_id);
  const std::vector<std::pair<std::string, std::string>> due{{"identify", ""},
                                                             {"admit", ""},
                                                             {"write", ""},
                                                             {"read-back", "device.timed-out"},
                                                             {"read-back", "device.timed-out"},
                                                             {"read-back", ""}};
  CHECK(rows == due);
  line.bus.fail_reads(3);
  CHECK(line.flash().error->id() == "device.timed-out");
}

TEST_CASE("a device that does not answer what admission asks has failed, and is not called refused") {
  ScriptedLine line(recipe());
  line.bus.fail_admission();
  const AttemptResult silent = line.flash();
  CHECK(silent.verdict == db::AttemptVerdict::failed);
  CHECK(line.line.rows().at(0).close->error_id == "device.timed-out");
  CHECK(line.flash().verdict == db::AttemptVerdict::passed);
}

TEST_CASE("a step that ran into its deadline is not tried again, whatever the device says in the end") {
  const auto [hang, name] = GENERATE(
      table<Hang, const char*>({{Hang::identify, "identify"}, {Hang::write, "write"}, {Hang::read_back, "read-back"}}));
  INFO(name);
  Recipe what = recipe();
  what.flash.retries = {.times = 5, .worth = {"device.timed-out"}};
  make_short(what.flash.limits, hang);
  ScriptedLine line(std::move(what));
  line.bus.end_as_timed_out();
  const AttemptResult hung = line.flash(hang);
  CHECK(hung.verdict == db::AttemptVerdict::failed);
  const auto steps = line.line.records->steps(*hung.id).value();
  CHECK(std::ranges::count(steps, name, &db::Step::name) == 1);
  CHECK(steps.back().name == name);
}

TEST_CASE("the steps that move an image have what they waited for as numbers") {
  ScriptedLine line(recipe());
  const AttemptResult passed = line.flash();
  const auto steps = line.line.records->steps(*passed.id).value();
  for (const db::Step& step : steps) {
    INFO(step.name);
    CHECK(step.waited.has_value() == (step.name == "write" || step.name == "read-back"));
    if (step.waited) CHECK(step.waited->source + step.waited->hash + step.waited->device <= step.duration + seconds(1));
  }
}

namespace {

// Keeps what a slot told of itself.
class Watch final : public SessionObserver {
 public:
  void on_slot(const SlotStatus& status) override {
    const std::scoped_lock lock(mutex_);
    all_.push_back(status);
  }
  void on_finished(const AttemptResult& /*result*/) override {
    const std::scoped_lock lock(mutex_);
    finished_ = true;
    changed_.notify_all();
  }
  void on_refused_port(const devices::PortPath& /*port*/, bool /*present*/) override {}
  std::vector<SlotStatus> wait() {
    std::unique_lock lock(mutex_);
    REQUIRE(changed_.wait_for(lock, seconds(30), [&] { return finished_; }));
    return all_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool finished_ = false;
  std::vector<SlotStatus> all_;
};

}  // namespace

TEST_CASE("writing and reading back both tell bytes, rate, time left and what they waited for") {
  Line line;
  Watch watch;
  SessionConfig config{.recipe = recipe(),
                       .image = armed_image(),
                       .slots = {{"1", VirtualBus::port(1)}},
                       .scratch = line.folder.path(),
                       .training = true,
                       .observer = &watch};
  const auto session = Session::start(std::move(config), line.bus, *line.records, line.clock).value();
  // Slow enough to tell of itself more than once in each phase.
  REQUIRE(line.bus.plug(VirtualBus::port(1), line.device(1, {}, 500'000)).has_value());
  std::set<SlotPhase> told;
  const auto statuses = watch.wait();
  for (const SlotStatus& status : statuses) {
    if (status.due == 0 || status.done == 0 || status.phase == SlotPhase::done) continue;
    told.insert(status.phase);
    CHECK(status.rate > 0);
    REQUIRE(status.left.has_value());
    if (status.phase == SlotPhase::write) CHECK(status.left->count() >= 1);  // the read-back is still to come
    CHECK(status.waited.device.count() > 0);
  }
  CHECK(told == std::set{SlotPhase::write, SlotPhase::read_back});
}
