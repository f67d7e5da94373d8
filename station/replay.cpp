// SPDX-License-Identifier: GPL-3.0-or-later
// Runs the attempt as the station does and judges what the bus has found.
#include "station/replay.hpp"

#include "devices/capture/errors.hpp"
#include "devices/capture/replay_bus.hpp"
#include "flash/core/clock.hpp"
#include "flash/core/errors.hpp"
#include "station/attempt.hpp"

namespace imprint::station {
namespace {

using capture::Outcome;
using capture::ReplayBus;
using ReadBack = engine::FlashPolicy::ReadBack;

class NobodyWatches final : public AttemptObserver {
 public:
  void on_phase(SlotPhase /*phase*/, std::uint64_t /*due*/) override {}
  void on_progress(std::uint64_t /*done*/) override {}
  void on_identity(const engine::DeviceIdentity& /*identity*/) override {}
  void on_plan(std::uint64_t /*read_back_due*/) override {}
  void on_device_kept() override {}
  void on_passed() override {}
};

// What the recorded attempt was asked for, as far as the wire shows it.
Recipe recipe_of(const std::optional<Outcome>& outcome) {
  Recipe recipe;
  recipe.product = "replay";
  recipe.policy = trust::Policy::none;
  if (!outcome) return recipe;
  for (const ReadBack rule : {ReadBack::required, ReadBack::where_possible, ReadBack::off}) {
    if (engine::to_string(rule) == outcome->read_back) recipe.flash.read_back = rule;
  }
  recipe.after_pass = outcome->reboot ? AfterPass::reboot : AfterPass::nothing;
  return recipe;
}

std::string outcome_text(std::string_view verdict, std::string_view error) {
  return std::string(verdict) + (error.empty() ? "" : ": " + std::string(error));
}

core::Error other_outcome(const ReplayBus& bus, const std::string& expected, const std::string& actual) {
  return capture::fail("capture.replay-differs", "it ends in another way")
      .with("transfer", bus.state().replayed())
      .with("expected", expected)
      .with("actual", actual)
      .error();
}

// After a whole attempt.
void judge(const ReplayBus& bus, const Outcome& recorded, ReplayReport& report) {
  const std::string_view verdict = db::to_string(*report.verdict);
  const std::string_view error = report.error ? report.error->id() : std::string_view{};
  const bool is_same = verdict == recorded.verdict && error == recorded.error;
  if (!capture::is_decided_by_device(recorded)) {
    report.note = "the recorded outcome (" + outcome_text(recorded.verdict, recorded.error) +
                  ") is not the device's doing; only the transfers were compared";
    return;
  }
  if (!is_same) {
    report.difference =
        other_outcome(bus, outcome_text(recorded.verdict, recorded.error), outcome_text(verdict, error));
  } else if (bus.state().left() != 0) {
    report.difference = other_outcome(bus, std::to_string(bus.state().attempt().transfers()) + " transfers",
                                      std::to_string(bus.state().replayed()) + " transfers");
  }
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
  report.difference = bus.state().difference();
  const auto ended = bus.state().ended();
  if (!report.difference && !ended && image != nullptr && recorded.outcome) judge(bus, *recorded.outcome, report);
  if (!report.difference && !recorded.outcome) report.note = "no outcome is recorded; only the transfers were compared";
  if (report.difference) {
    report.result = ReplayResult::differs;
  } else if (ended) {
    // Where the device stayed away when it was recorded, too, that is how the attempt ended.
    const bool is_same =
        image != nullptr && recorded.outcome && report.error && recorded.outcome->error == report.error->id();
    if (!is_same) report.result = ReplayResult::agrees_to_end;
    if (!is_same) report.note = ended->message();
  }
  return report;
}

}  // namespace imprint::station
