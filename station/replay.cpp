// SPDX-License-Identifier: GPL-3.0-or-later
// Runs the attempt as the station does and judges what the bus has found.
#include "station/replay.hpp"

#include "devices/capture/errors.hpp"
#include "devices/capture/replay_bus.hpp"
#include "flash/core/clock.hpp"
#include "flash/core/errors.hpp"
#include "flash/engine/flash_device.hpp"
#include "station/attempt.hpp"

namespace imprint::station {
namespace {

using capture::Outcome;
using capture::ReplayBus;

class NobodyWatches final : public AttemptObserver {
 public:
  void on_phase(SlotPhase /*phase*/, std::uint64_t /*due*/) override {}
  void on_progress(std::uint64_t /*done*/, const engine::Starvation& /*waited*/) override {}
  void on_identity(const std::string& /*serial*/) override {}
  void on_plan(std::uint64_t /*read_back_due*/) override {}
  void on_work_done() override {}
  void on_passed() override {}
};

// The last transfers are of the recipe's rules, which a replay does not have.
bool has_rules(const std::optional<Outcome>& outcome) {
  return outcome && outcome->proof == db::to_string(db::ProofLevel::inspected);
}

// What the recorded attempt was asked for, as far as the wire shows it.
Recipe recipe_of(const std::optional<Outcome>& outcome) {
  Recipe recipe;
  recipe.product = "replay";
  recipe.policy = trust::Policy::none;
  if (!outcome) return recipe;
  recipe.flash.read_back = engine::parse_read_back(outcome->read_back).value_or(recipe.flash.read_back);
  recipe.flash.after_pass =
      outcome->reboot && !has_rules(outcome) ? engine::AfterPass::reboot : engine::AfterPass::nothing;
  return recipe;
}

std::string outcome_text(std::string_view verdict, std::string_view error) {
  return std::string(verdict) + (error.empty() ? "" : ": " + std::string(error));
}

std::string transfers_text(std::uint64_t count) { return std::to_string(count) + " transfers"; }

void add_note(ReplayReport& report, const std::string& note) {
  report.note += (report.note.empty() ? "" : "; ") + note;
}

core::Error other_outcome(const ReplayBus& bus, const std::string& expected, const std::string& actual) {
  return capture::fail("capture.replay-differs", "it ends in another way")
      .with("transfer", bus.state().replayed())
      .with("expected", expected)
      .with("actual", actual)
      .error();
}

// After a whole attempt whose end the device decided.
void judge_outcome(const ReplayBus& bus, const Outcome& recorded, ReplayReport& report) {
  const std::string_view verdict = db::to_string(*report.verdict);
  const std::string_view error = report.error ? report.error->id() : std::string_view{};
  if (verdict != recorded.verdict || error != recorded.error) {
    report.difference =
        other_outcome(bus, outcome_text(recorded.verdict, recorded.error), outcome_text(verdict, error));
  } else if (bus.state().left() != 0 && has_rules(recorded) && report.proof == db::ProofLevel::read_back) {
    add_note(report, "the rules of the recipe are not replayed: the last " + std::to_string(bus.state().left()) +
                         " transfers, which are theirs, were not compared");
  } else if (bus.state().left() != 0) {
    report.difference =
        other_outcome(bus, transfers_text(bus.state().attempt().transfers()), transfers_text(bus.state().replayed()));
  }
}

// Neither a difference in the transfers nor the recording's end was met.
void judge(const ReplayBus& bus, ReplayReport& report) {
  const std::optional<Outcome>& recorded = bus.state().attempt().outcome;
  const bool is_decided = recorded && capture::is_decided_by_device(*recorded);
  if (is_decided && report.verdict) return judge_outcome(bus, *recorded, report);
  if (report.error) {
    const std::string_view error = report.error->id();
    if (bus.state().left() != 0) {
      report.difference = other_outcome(bus, "to go on for " + transfers_text(bus.state().attempt().transfers()),
                                        std::string(error) + " after " + transfers_text(bus.state().replayed()));
    } else if (is_decided && error != recorded->error) {
      report.difference = other_outcome(bus, outcome_text(recorded->verdict, recorded->error), std::string(error));
    }
  }
  if (recorded && !is_decided) {
    add_note(report, "the recorded outcome (" + outcome_text(recorded->verdict, recorded->error) +
                         ") is not the device's doing; only the transfers were compared");
  }
}

// The recording's end was met: the attempt's own where the device stayed away when it was recorded, too.
bool is_same_end(const ReplayBus& bus, const ReplayReport& report) {
  const std::optional<Outcome>& recorded = bus.state().attempt().outcome;
  return bus.state().how_ended() == capture::ReplayEnd::stayed_away && bus.state().left() == 0 && recorded &&
         report.verdict && report.error && recorded->error == report.error->id() &&
         recorded->verdict == db::to_string(*report.verdict);
}

core::Status run(ReplayBus& bus, const ArmedImage& image, const std::filesystem::path& scratch,
                 const std::stop_token& stop, ReplayReport& report) {
  const core::SystemClock clock;
  IMPRINT_TRY(const auto records, db::Records::open(scratch / "replay.db", clock));
  const Recipe recipe = recipe_of(bus.state().attempt().outcome);
  ActiveSerials active;
  const AttemptContext context{*records, bus, clock, image, recipe, active, scratch, true};
  NobodyWatches observer;
  AttemptResult result = run_attempt(context, "replay", bus.state().attempt().port, observer, stop);
  if (!result.id) return core::Failure(std::move(*result.error));
  report.verdict = result.verdict;
  report.proof = result.proof;
  report.error = std::move(result.error);
  return {};
}

core::Status identify(ReplayBus& bus, ReplayReport& report) {
  IMPRINT_TRY(const auto target, bus.open(bus.state().attempt().port));
  auto identity = target->identify();
  if (!identity) report.error = std::move(identity).error();
  return {};
}

}  // namespace

std::string_view to_string(ReplayResult result) {
  switch (result) {
    case ReplayResult::agrees:
      return "agrees";
    case ReplayResult::agrees_to_end:
      return "agrees-to-end";
    case ReplayResult::differs:
      break;
  }
  return "differs";
}

core::Result<ReplayReport> replay_attempt(const std::shared_ptr<const capture::Recording>& recording,
                                          std::size_t attempt, const ArmedImage* image,
                                          const std::filesystem::path& scratch, const std::stop_token& stop) {
  const capture::RecordedAttempt& recorded = recording->attempts()[attempt];
  if (!capture::protocol_of(recorded))
    return capture::fail("capture.nothing-to-replay", "what the device is does not stand in it")
        .with("port", recorded.port.text);
  ReplayBus bus(recording, attempt);
  ReplayReport report;
  if (image != nullptr) {
    IMPRINT_CHECK(run(bus, *image, scratch, stop, report));
  } else {
    IMPRINT_CHECK(identify(bus, report));
  }
  if (stop.stop_requested()) return core::fail("job.cancelled");
  report.transfers = bus.state().replayed();
  report.uncompared = bus.state().uncompared();
  report.difference = bus.state().difference();
  const auto ended = bus.state().ended();
  if (!report.difference && !ended) judge(bus, report);
  if (report.difference) {
    report.result = ReplayResult::differs;
  } else if (ended && !is_same_end(bus, report)) {
    report.result = ReplayResult::agrees_to_end;
    add_note(report, ended->message());
  }
  if (!report.difference && !recorded.outcome)
    add_note(report, "no outcome is recorded; only the transfers were compared");
  if (report.uncompared != 0)
    add_note(report, std::to_string(report.uncompared) + " bytes that were sent are not in it, and were not compared");
  return report;
}

}  // namespace imprint::station
