// SPDX-License-Identifier: GPL-3.0-or-later
// The way of one device: identify, admit, write, read back, inspect, close. Whatever happens on the way, the record is
// closed with what is known, and nothing is called passed that the record does not hold.
// Long because: it is the way of one device from its first row to its last, and whoever looks for what leads to a PASS
// reads it in one place.
#include "station/attempt.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <functional>
#include <new>
#include <span>
#include <utility>

#include "db/units.hpp"
#include "flash/core/text.hpp"
#include "flash/engine/flash_device.hpp"
#include "flash/engine/pace.hpp"
#include "flash/engine/phase_limit.hpp"
#include "station/attempt_inspection.hpp"
#include "station/attempt_rows.hpp"
#include "station/errors.hpp"
#include "station/recorded_end.hpp"
#include "station/stoppable_source.hpp"
#include "station/version.hpp"
#include "station/write_watch.hpp"

namespace imprint::station {
namespace {

using ReadBack = engine::FlashPolicy::ReadBack;

class AttemptRun {
 public:
  AttemptRun(const AttemptContext& context, std::string slot, devices::PortPath port, AttemptObserver& observer,
             std::stop_token stop)
      : context_(context),
        policy_(context.recipe.flash),
        tries_left_(policy_.retries.times),
        port_(std::move(port)),
        observer_(observer),
        stop_(std::move(stop)) {
    result_.slot = std::move(slot);
  }

  ~AttemptRun() {
    if (claimed_) context_.active.release(unit_.serial);
    if (mac_claimed_) context_.active.release(mac_claim());
  }
  AttemptRun(const AttemptRun&) = delete;
  AttemptRun& operator=(const AttemptRun&) = delete;

  AttemptResult run() {
    try {
      return run_to_the_end();
    } catch (const std::exception& exception) {
      // Out of memory in the middle of closing, say. What is not in the records is never called passed.
      if (is_closed_) {
        // The records have it: what went wrong behind that changes nothing.
        result_.note = std::string("afterwards: ") + exception.what();
      } else {
        close_after(exception);
      }
      disk_.reset();
      target_.reset();
      if (result_.id)
        result_.recording =
            finish_recording(context_, port_, result_);  // else the next attempt's would begin with this one's
      try {
        tell_rules();
      } catch (const std::exception&) {  // NOLINT(bugprone-empty-catch): what follows is counted at the next end
      }
      return std::move(result_);
    }
  }

 private:
  // Else it would stay open until the next start. What that throws is thrown away: there is nothing left to do.
  void close_after(const std::exception& exception) {
    const core::Status failed = fail("station.internal-error", exception.what());
    try {
      if (result_.id) close(failed);
    } catch (const std::exception&) {
      result_.verdict = db::AttemptVerdict::incomplete;
    }
    result_.error = failed.error();
    if (result_.verdict == db::AttemptVerdict::passed) result_.verdict = db::AttemptVerdict::incomplete;
  }

  AttemptResult run_to_the_end() {
    auto opened = context_.records.open_attempt(opening_of(context_, result_.slot, port_));
    if (!opened) {
      result_.error = std::move(opened).error();
      tell_rules();
      return std::move(result_);
    }
    result_.id = *opened;
    close(guarded_steps());
    if (context_.rules != nullptr) context_.rules->recorded(result_.slot);
    if (result_.verdict == db::AttemptVerdict::passed) after_pass();
    if (target_) result_.recoveries = target_->recoveries();
    // Whoever was opened to find out that it is another device is still to be begun with.
    const bool is_another = result_.error && result_.error->id() == "device.identity-changed";
    if (target_ && !is_another && target_->is_sure_of_device()) observer_.on_work_done();
    // The device is let go before the slot is called done.
    disk_.reset();
    target_.reset();
    result_.recording = finish_recording(context_, port_, result_);
    tell_rules();
    return std::move(result_);
  }

  void tell_rules() {
    if (context_.rules != nullptr && !std::exchange(rules_told_, true)) context_.rules->ended(result_, unit_id_);
  }

  // What a step moved and has to say, for its row.
  struct StepNotes {
    std::uint64_t bytes = 0;
    std::string detail;
    std::optional<db::StepWaits> waited;
    std::vector<engine::WritePart> parts;  // with rows of their own
  };
  struct Phase {
    const char* name;  // of its step
    SlotPhase phase;
    std::string_view doing;                          // what ran into the deadline
    std::optional<std::chrono::milliseconds> limit;  // nothing: it has one of its own
    std::uint64_t due = 0;                           // bytes
  };

  // One slot's trouble must not end the program and with it the other slots.
  core::Status guarded_steps() {
    try {
      return all_steps();
    } catch (const std::bad_alloc&) {
      return core::fail("io.out-of-memory");
    } catch (const std::exception& exception) {
      return fail("station.internal-error", exception.what());
    }
  }

  core::Status all_steps() {
    IMPRINT_CHECK(find_out());
    // Its deadline is that of the scan, which the rules know.
    if (context_.rules != nullptr)
      IMPRINT_CHECK(
          step({"claim", SlotPhase::claim, "claiming", {}}, [this](StepNotes& notes) { return claim(notes); }));
    IMPRINT_CHECK(step({"admit", SlotPhase::admit, "admitting", policy_.limits.admit},
                       [this](StepNotes& notes) { return admit(notes); }));
    // Devices of one hub that all start at once draw more than it gives.
    if (context_.gate != nullptr) IMPRINT_CHECK(context_.gate->enter(devices::supply_of(port_), stop_));
    IMPRINT_CHECK(write_and_prove());
    if (context_.recipe.layout || context_.recipe.check_bcd || context_.recipe.recovery) {
      IMPRINT_CHECK(step({"inspect", SlotPhase::inspect, "inspecting", policy_.limits.inspect},
                         [this](StepNotes& notes) { return inspect_disk(notes); }));
      if (reads_back_) result_.proof = db::ProofLevel::inspected;
    }
    return {};
  }

  // The tries of an attempt are shared by all of its phases, and each that failed has a row.
  [[nodiscard]] bool may_try_again(const core::Error& error) {
    // After a deadline nothing more is asked of the device.
    if (tries_left_ == 0 || stop_.stop_requested() || job_.stop_requested() || !policy_.retries.is_worth_one(error))
      return false;
    --tries_left_;
    return true;
  }

  core::Status find_out() {
    for (;;) {
      auto found = step({"identify", SlotPhase::identify, "identifying", policy_.limits.identify},
                        [this](StepNotes& notes) { return identify(notes); });
      if (found || !may_try_again(found.error())) return found;
      target_.reset();
    }
  }

  core::Status write_and_prove() {
    const std::uint64_t due = engine::bytes_due(*target_, *context_.image.image, *plan_, policy_);
    for (bool is_written = false;;) {
      if (!is_written) {
        IMPRINT_CHECK(step({"write", SlotPhase::write, "writing", policy_.limits.write, due},
                           [&](StepNotes& notes) { return write(notes, due); }));
        if (!identity_.is_bare_disk) result_.proof = db::ProofLevel::device_confirmed;
        if (!reads_back_) return {};
      }
      auto proved = step({"read-back", SlotPhase::read_back, "reading back", policy_.limits.read_back, read_back_due_},
                         [this](StepNotes& notes) { return read_back(notes); });
      if (proved) result_.proof = db::ProofLevel::read_back;
      if (proved || !may_try_again(proved.error())) return proved;
      // What is wrong on the disk is not read away.
      is_written = proved.error().id() != "readback.mismatch" && proved.error().id() != "erase.not-zero";
    }
  }

  // A disk confirms nothing by itself, so that only reading it back proves anything, whatever the recipe asks for.
  [[nodiscard]] ReadBack read_back_rule() const {
    return identity_.is_bare_disk ? ReadBack::required : policy_.read_back;
  }

  // Settled before a byte is written: a device that could be read then and cannot be afterwards has failed.
  core::Result<bool> will_read_back() {
    if (read_back_rule() == ReadBack::off) return false;
    // Asked where the answer does not matter, too: what a device hears then depends less on the recipe, which the first
    // half of a recording does not tell.
    IMPRINT_TRY(const bool readable, target_->is_readable());
    if (read_back_rule() == ReadBack::required) return true;
    if (!readable) result_.note = "not read back: this device cannot be read";
    return readable;
  }

  // The unit is proved and recorded: what happens to the device from here on does not change that.
  void after_pass() {
    observer_.on_passed();
    const engine::AfterPass after = context_.recipe.flash.after_pass;
    if (after == engine::AfterPass::nothing) return;
    observer_.on_phase(SlotPhase::finish, 0);
    const auto finished = limited({"finish", SlotPhase::finish, "finishing", policy_.limits.finish},
                                  [&] { return engine::finish_device(*target_, after); });
    if (!finished)
      result_.note = fmt::format("passed, but not done: {} ({})", engine::to_string(after), finished.error().message());
  }

  // Within the phase's deadline, after which nothing more is asked of the device: what it does then is not known.
  core::Status limited(const Phase& phase, const std::function<core::Status()>& work) {
    if (!phase.limit) return work();
    engine::PhaseLimit limit(std::string(phase.doing), *phase.limit, stop_);
    const std::stop_callback stop_job(limit.token(), [this] { job_.request_stop(); });
    limit_ = &limit;
    return limit.judge(work());
  }

  // Runs one step and records it. A step whose row could not be written counts as failed: there is no proof of it.
  core::Status step(const Phase& phase, const std::function<core::Status(StepNotes&)>& work) {
    if (stop_.stop_requested()) return core::fail("job.cancelled");
    phase_ = phase.phase;
    observer_.on_phase(phase.phase, phase.due);
    db::Step row;
    row.name = phase.name;
    row.started = context_.clock.now();
    const auto start = std::chrono::steady_clock::now();
    StepNotes notes;
    core::Status status = limited(phase, [&] { return work(notes); });
    row.duration = std::chrono::round<std::chrono::milliseconds>(std::chrono::steady_clock::now() - start);
    row.ok = status.has_value();
    row.bytes = notes.bytes;
    row.waited = notes.waited;
    const core::Status parts = record_parts(notes, row, start);
    if (phase.phase == SlotPhase::write) {
      result_.written = notes.bytes;
      result_.write_time = row.duration;
    }
    row.detail = notes.detail;
    if (!status) {
      row.error_id = status.error().id();
      row.detail = status.error().message() + (notes.detail.empty() ? "" : "\n" + notes.detail);
    }
    auto recorded = context_.records.add_step(*result_.id, row);
    if (!recorded) unrecorded_.push_back(row);
    if (status) IMPRINT_CHECK(parts);
    if (status && !recorded) return recorded;
    return status;
  }

  // A try that failed has the step's name; the step's own row is that of the last.
  core::Status record_parts(const StepNotes& notes, db::Step& row, std::chrono::steady_clock::time_point start) {
    const core::UtcTime started = row.started;
    core::Status kept;
    for (const engine::WritePart& part : notes.parts) {
      const db::Step own = row_of(part, started, start);
      if (part.kind == engine::WritePart::Kind::failed_try) {
        // Both are rounded: the difference may be short by one.
        row.duration =
            std::max(std::chrono::milliseconds(0), row.duration - (own.started + own.duration - row.started));
        row.started = own.started + own.duration;
      }
      core::Status recorded = context_.records.add_step(*result_.id, own);
      if (!recorded) unrecorded_.push_back(own);
      if (!recorded && kept) kept = std::move(recorded);
    }
    return kept;
  }

  core::Status identify(StepNotes& notes) {
    // A simulated PASS never stands among real ones, nor the other way round.
    IMPRINT_TRY(const bool is_simulated, context_.bus.is_simulated(port_));
    if (is_simulated != context_.training)
      return context_.training ? fail("station.records-mixed") : fail("station.training-only");
    IMPRINT_TRY(target_, context_.bus.open(port_));
    target_->stop_with(job_.get_token());
    IMPRINT_TRY(identity_, target_->identify());
    notes.detail = identity_.protocol + " " + identity_.platform_id;
    for (const auto& [name, value] : identity_.details) notes.detail += "\n" + name + ": " + value;
    result_.protocol = identity_.protocol;
    unit_.serial = identity_.serial;
    if (context_.rules != nullptr) return {};
    if (unit_.serial.empty()) return fail("unit.serial-missing");
    result_.serial = unit_.serial;
    observer_.on_identity(unit_.serial);
    return {};
  }

  // Whose unit is this? A person may have to scan its label first.
  core::Status claim(StepNotes& notes) {
    IMPRINT_TRY(unit_, context_.rules->claim(result_.slot, identity_, stop_));
    if (unit_.serial.empty()) return fail("unit.serial-missing");
    if (!unit_.mac.empty() && !context_.active.claim(mac_claim()))
      return fail("unit.mac-duplicate", "it is in another slot right now").with("mac", unit_.mac);
    mac_claimed_ = !unit_.mac.empty();
    notes.detail = unit_.manual_serial ? "typed" : "";
    result_.serial = unit_.serial;
    observer_.on_identity(unit_.serial);
    return {};
  }

  // Everything that can refuse the unit; a leave that was given once is taken last.
  core::Status admit(StepNotes& notes) {
    // Claimed before the records are asked: of two devices with one serial only one can get past both.
    claimed_ = context_.active.claim(unit_.serial);
    core::Result<Leave> leave = Leave{};
    if (claimed_ && context_.rules != nullptr) leave = context_.rules->admit(result_.slot, unit_, identity_);
    // Whoever is refused is in the unit's history, too.
    IMPRINT_TRY(unit_id_, context_.records.identify(*result_.id, row_of(unit_, identity_, leave ? leave->reason : "")));
    if (!claimed_) return fail("unit.serial-duplicate", "it is in another slot right now").with("serial", unit_.serial);
    if (!leave) return std::unexpected(std::move(leave).error());
    notes.detail = leave->reason;
    if (leave->may_have_passed || !leave->reason.empty()) IMPRINT_CHECK(admit_used(notes));
    IMPRINT_TRY(const bool passed_before, context_.records.has_passed(*unit_id_));
    if (passed_before && !leave->may_have_passed) return fail("unit.serial-duplicate").with("serial", unit_.serial);
    IMPRINT_TRY(plan_, engine::plan_for(*context_.image.image, identity_, policy_));
    read_back_due_ = engine::read_back_due(*plan_, policy_);
    const auto reads_back = will_read_back();
    device_failed_ = !reads_back;
    IMPRINT_TRY(reads_back_, reads_back);
    observer_.on_plan(reads_back_ ? read_back_due_ : 0);
    return {};
  }

  // A re-flash or a rework: somebody's data may be on the disk.
  core::Status admit_used(StepNotes& notes) {
    policy_ = engine::for_rework(policy_);
    if (target_->as_block() != nullptr) {
      notes.detail += "\nerasure for rework: " + std::string(engine::to_string(policy_.erasure));
      return {};
    }
    notes.detail += "\nwhat the image leaves out is up to the device, which applies the image itself";
    const db::FindingRow finding = left_to_device_finding(identity_.protocol, policy_.erasure);
    return context_.records.add_findings(*result_.id, std::span(&finding, 1));
  }

  [[nodiscard]] std::string mac_claim() const { return "mac " + unit_.mac; }

  core::Status write(StepNotes& notes, std::uint64_t due) {
    engine::FlashPolicy policy = policy_;
    policy.retries.times = tries_left_;
    engine::Pace pace(policy.least_pace, due, limit_->token(), std::chrono::steady_clock::now());
    WriteWatch watch({observer_, pace, *limit_, write_meter_}, due, policy.limits.confirm);
    engine::WriteOutcome outcome;
    auto status = engine::write_image(*target_, *context_.image.image, *plan_, policy, watch, write_meter_,
                                      pace.token(), outcome);
    tries_left_ -= std::min(tries_left_, outcome.tries - 1);
    notes.bytes = watch.done();
    notes.detail = watch.log();
    notes.waited = waits_of(write_meter_.view().starvation);
    notes.parts = std::move(outcome.parts);
    if (outcome.skipped != 0) outcome.notes.push_back(std::to_string(outcome.skipped) + " bytes were there already");
    if (outcome.erased != 0)
      outcome.notes.push_back(fmt::format("{} bytes were erased ({})", outcome.erased, to_string(policy.erasure)));
    for (const std::string& note : outcome.notes) notes.detail += (notes.detail.empty() ? "" : "\n") + note;
    if (status) IMPRINT_CHECK(record_gpt());
    return pace.judge(std::move(status));
  }

  // Where the recipe has the layout inspected, that finds it on the disk itself.
  core::Status record_gpt() {
    const auto finding = gpt_finding(*plan_);
    if (!finding || context_.recipe.layout || std::exchange(gpt_recorded_, true)) return {};
    return context_.records.add_findings(*result_.id, std::span(&*finding, 1));
  }

  core::Status read_back(StepNotes& notes) {
    IMPRINT_TRY(const auto disk, open_for_read_back());
    engine::Pace pace(policy_.least_pace, read_back_due_, limit_->token(), std::chrono::steady_clock::now());
    engine::PhaseMeter meter;
    auto status = engine::read_back(
        *context_.image.image, *plan_, policy_, *disk,
        [&](std::uint64_t done, std::uint64_t) {
          notes.bytes = done;
          pace.on_bytes(done, std::chrono::steady_clock::now());
          observer_.on_progress(done, meter.view().starvation);
        },
        meter, pace.token());
    notes.waited = waits_of(meter.view().starvation);
    if (status && plan_->gpt() && plan_->gpt()->is_fitted)
      notes.detail = "the partition tables were compared as fitted to this disk";
    return pace.judge(std::move(status));
  }

  core::Result<std::unique_ptr<engine::QueuedDisk>> open_for_read_back() {
    if (target_->as_block() != nullptr) return target_->open_queue();
    // A device that has to be asked for its disk is asked once, also where the rules read it afterwards.
    IMPRINT_TRY(disk_, target_->open_disk());
    return engine::one_by_one(disk_->size(), nullptr, disk_);
  }

  core::Status inspect_disk(StepNotes& notes) {
    if (!disk_) {
      IMPRINT_TRY(disk_, target_->open_disk());
    }
    const auto source = std::make_shared<StoppableSource>(disk_, limit_->token(), [&](std::uint64_t bytes) {
      notes.bytes = bytes;
      observer_.on_progress(bytes, {});
    });
    const inspect::Disk disk{result_.slot + " " + unit_.serial, source, identity_.disk->sector_size};
    result_.report = inspect_unit(disk, context_.recipe, context_.scratch);
    // What was stopped says nothing about the device.
    if (limit_->token().stop_requested()) return core::fail("job.cancelled");
    std::vector<db::FindingRow> rows;
    rows.reserve(result_.report.findings.size());
    for (const inspect::Finding& finding : result_.report.findings) rows.push_back(row_of(finding));
    IMPRINT_CHECK(context_.records.add_findings(*result_.id, rows));
    if (context_.rules == nullptr || !unit_id_) return judge(result_.report);
    IMPRINT_TRY(const inspect::Report judged, without_waived(result_.report, *context_.rules, *unit_id_, notes.detail));
    return judge(judged);
  }

  [[nodiscard]] db::AttemptVerdict verdict_of(const core::Status& status) const {
    if (status) return db::AttemptVerdict::passed;
    const std::string_view id = status.error().id();
    if (id == "job.cancelled") return db::AttemptVerdict::aborted;
    // Only what admission decides about the device is a refusal; a record that could not be written is not, nor a
    // device that was asked and did not answer.
    const bool is_admission = phase_ == SlotPhase::admit || phase_ == SlotPhase::claim;
    const bool is_of_device = !id.starts_with("records.") && !id.starts_with("io.") && id != "job.deadline";
    if (is_admission && is_of_device && !device_failed_) return db::AttemptVerdict::refused;
    if (id == "inspect.incomplete" || id == "device.read-back-unsupported") return db::AttemptVerdict::incomplete;
    return db::AttemptVerdict::failed;
  }

  // What whoever holds the unit wants to know. Without it the refusal stands all the same.
  void note_earlier() {
    auto history = db::Units(context_.records).history(context_.recipe.product, unit_.serial);
    if (!history) return;
    std::erase_if(*history, [this](const db::UnitEvent& event) { return event.attempt == *result_.id; });
    if (history->size() > kMostEarlier)
      history->erase(history->begin(), history->end() - static_cast<std::ptrdiff_t>(kMostEarlier));
    result_.earlier = std::move(*history);
  }

  void close(const core::Status& status) {
    result_.verdict = verdict_of(status);
    db::AttemptClose close;
    close.verdict = result_.verdict;
    close.proof = result_.proof;
    if (!status) {
      result_.error = status.error();
      close.error_id = status.error().id();
      close.error_class = core::to_string(status.error().row().fault);
      close.detail = status.error().message();
      if (status.error().id() == "unit.serial-duplicate") note_earlier();
    }
    auto closed = record_end(
        context_.records, *result_.id, close, [this](const core::Error& why) { return observer_.on_unrecorded(why); },
        unrecorded_);
    is_closed_ = closed.has_value();
    if (closed) return;
    if (!result_.error) result_.error = closed.error();
    result_.note = "the end of this attempt is not in the records: " + closed.error().message();
    if (result_.verdict == db::AttemptVerdict::passed) {
      // The unit may be good, but nothing proves it: never shown as passed.
      result_.verdict = db::AttemptVerdict::incomplete;
    }
  }

  static constexpr std::size_t kMostEarlier = 10;
  const AttemptContext& context_;
  engine::FlashPolicy policy_;  // the recipe's; admission makes that of a rework of it
  unsigned tries_left_;
  devices::PortPath port_;
  AttemptObserver& observer_;
  std::stop_token stop_;
  std::stop_source job_;                 // of the target: at a stop request, and once a deadline has passed
  engine::PhaseLimit* limit_ = nullptr;  // of the phase, while it runs
  AttemptResult result_;
  SlotPhase phase_ = SlotPhase::empty;
  std::unique_ptr<engine::Target> target_;
  engine::DeviceIdentity identity_;
  UnitClaim unit_;
  std::optional<db::UnitId> unit_id_;  // set by admission
  bool rules_told_ = false;            // how it ended
  bool is_closed_ = false;             // in the records
  std::vector<db::Step> unrecorded_;   // rows that the records did not take when their steps ended
  std::shared_ptr<const core::BlockSource> disk_;
  std::shared_ptr<const engine::WritePlan> plan_;  // set by admission, shared with the other slots
  std::uint64_t read_back_due_ = 0;
  engine::PhaseMeter write_meter_;
  bool reads_back_ = false;     // set by admission, too
  bool device_failed_ = false;  // while admission asked it
  bool claimed_ = false;
  bool mac_claimed_ = false;
  bool gpt_recorded_ = false;
};

}  // namespace

bool ActiveSerials::claim(const std::string& serial) {
  const std::scoped_lock lock(mutex_);
  return serials_.insert(serial).second;
}

void ActiveSerials::release(const std::string& serial) {
  const std::scoped_lock lock(mutex_);
  serials_.erase(serial);
}

AttemptResult run_attempt(const AttemptContext& context, const std::string& slot, const devices::PortPath& port,
                          AttemptObserver& observer, std::stop_token stop) {
  return AttemptRun(context, slot, port, observer, std::move(stop)).run();
}

}  // namespace imprint::station
