// SPDX-License-Identifier: GPL-3.0-or-later
// The way of one device: identify, admit, write, read back, inspect, close. Whatever happens on the way, the record is
// closed with what is known, and nothing is called passed that the record does not hold.
#include "station/attempt.hpp"

#include <fmt/format.h>

#include <exception>
#include <functional>
#include <new>
#include <utility>

#include "flash/core/text.hpp"
#include "flash/engine/flash_device.hpp"
#include "flash/engine/pace.hpp"
#include "flash/engine/phase_limit.hpp"
#include "station/errors.hpp"
#include "station/recorded_end.hpp"
#include "station/stoppable_source.hpp"
#include "station/version.hpp"

namespace imprint::station {
namespace {

using ReadBack = engine::FlashPolicy::ReadBack;

constexpr std::size_t kMaxLogLines = 200;  // of a device's own log, kept with the write step

class WriteObserver final : public engine::TransferObserver {
 public:
  WriteObserver(AttemptObserver& observer, engine::Pace& pace, std::uint64_t due)
      : observer_(observer), pace_(pace), due_(due) {}
  void on_bytes(std::uint64_t done) override {
    if (done < done_) observer_.on_phase(SlotPhase::write, due_);  // begun again: the rate, too
    done_ = done;
    pace_.on_bytes(done, std::chrono::steady_clock::now());
    observer_.on_progress(done);
  }
  void on_device_log(std::string_view line) override {
    if (lines_ < kMaxLogLines) log_ += (log_.empty() ? "" : "\n") + std::string(line);
    ++lines_;
  }
  [[nodiscard]] std::uint64_t done() const { return done_; }
  [[nodiscard]] const std::string& log() const { return log_; }

 private:
  AttemptObserver& observer_;
  engine::Pace& pace_;
  std::uint64_t due_;
  std::uint64_t done_ = 0;
  std::size_t lines_ = 0;
  std::string log_;
};

db::FindingRow to_row(const inspect::Finding& finding) {
  return {finding.check,
          std::string(inspect::to_string(finding.verdict)),
          std::string(inspect::to_string(finding.severity)),
          finding.expected,
          finding.actual,
          finding.message};
}

// The first finding that decided against the unit.
const inspect::Finding* deciding(const inspect::Report& report, inspect::FindingVerdict verdict) {
  for (const inspect::Finding& finding : report.findings) {
    if (finding.verdict == verdict && finding.severity == inspect::Severity::error) return &finding;
  }
  return nullptr;
}

// "waited for the image's file 0.1 s, its hashes 0.0 s, the device 12.3 s"
std::string waits_text(const engine::Starvation& waited) {
  const auto seconds = [](std::chrono::nanoseconds time) { return std::chrono::duration<double>(time).count(); };
  return fmt::format("waited for the image's file {:.1f} s, its hashes {:.1f} s, the device {:.1f} s",
                     seconds(waited.source), seconds(waited.hash), seconds(waited.device));
}

class AttemptRun {
 public:
  AttemptRun(const AttemptContext& context, std::string slot, devices::PortPath port, AttemptObserver& observer,
             std::stop_token stop)
      : context_(context), port_(std::move(port)), observer_(observer), stop_(std::move(stop)) {
    result_.slot = std::move(slot);
  }

  ~AttemptRun() {
    if (claimed_) context_.active.release(unit_.serial);
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
        result_.error = fail("station.internal-error", exception.what()).error();
        if (result_.verdict == db::AttemptVerdict::passed) result_.verdict = db::AttemptVerdict::incomplete;
      }
      disk_.reset();
      target_.reset();
      if (result_.id) keep_recording();  // else the next attempt's would begin with this one's
      try {
        tell_rules();
      } catch (const std::exception&) {
        // What follows from an end is counted at the next one.
      }
      return std::move(result_);
    }
  }

 private:
  AttemptResult run_to_the_end() {
    auto opened = context_.records.open_attempt(opening());
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
    keep_recording();
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
  };

  [[nodiscard]] db::NewAttempt opening() const {
    db::NewAttempt attempt;
    attempt.product = context_.recipe.product;
    attempt.slot = result_.slot;
    attempt.port_path = port_.text;
    attempt.image_sha256 = context_.image.image->identity();
    if (context_.image.decision.signer) attempt.image_signer = context_.image.decision.signer->subject;
    attempt.policy = trust::to_string(context_.recipe.policy);
    attempt.recipe_digest = context_.recipe.digest();
    attempt.trust_digest = context_.image.trust_digest;
    attempt.program_version = kVersion;
    attempt.training = context_.training;
    if (context_.rules != nullptr) context_.rules->describe(attempt);
    return attempt;
  }

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
    IMPRINT_CHECK(step("identify", SlotPhase::identify, 0, [this](StepNotes& notes) { return identify(notes); }));
    if (context_.rules != nullptr)
      IMPRINT_CHECK(step("claim", SlotPhase::claim, 0, [this](StepNotes& notes) { return claim(notes); }));
    IMPRINT_CHECK(step("admit", SlotPhase::admit, 0, [this](StepNotes& notes) { return admit(notes); }));
    // Devices of one hub that all start at once draw more than it gives.
    if (context_.gate != nullptr) IMPRINT_CHECK(context_.gate->enter(devices::supply_of(port_), stop_));
    const std::uint64_t write_bytes = engine::bytes_due(*target_, *context_.image.image, *plan_, context_.recipe.flash);
    IMPRINT_CHECK(step("write", SlotPhase::write, write_bytes, [this](StepNotes& notes) { return write(notes); }));
    if (!identity_.is_bare_disk) result_.proof = db::ProofLevel::device_confirmed;
    if (reads_back_) {
      IMPRINT_CHECK(step("read-back", SlotPhase::read_back, read_back_due_,
                         [this](StepNotes& notes) { return read_back(notes); }));
      result_.proof = db::ProofLevel::read_back;
    }
    if (context_.recipe.layout || context_.recipe.check_bcd || context_.recipe.recovery) {
      IMPRINT_CHECK(step("inspect", SlotPhase::inspect, 0, [this](StepNotes& notes) { return inspect_disk(notes); }));
      if (reads_back_) result_.proof = db::ProofLevel::inspected;
    }
    return {};
  }

  // A disk confirms nothing by itself, so that only reading it back proves anything, whatever the recipe asks for.
  [[nodiscard]] ReadBack read_back_rule() const {
    return identity_.is_bare_disk ? ReadBack::required : context_.recipe.flash.read_back;
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

  // With all that a replay has to know of what was asked for.
  void keep_recording() noexcept {
    if (context_.recorder == nullptr) return;
    try {
      capture::Outcome outcome;
      outcome.verdict = db::to_string(result_.verdict);
      if (result_.error) outcome.error = result_.error->id();
      outcome.proof = db::to_string(result_.proof);
      outcome.attempt = std::to_string(*result_.id);
      outcome.slot = result_.slot;
      outcome.serial = result_.serial;
      outcome.read_back = engine::to_string(context_.recipe.flash.read_back);
      outcome.image = context_.image.image->identity();
      outcome.reboot = context_.recipe.flash.after_pass == engine::AfterPass::reboot;
      result_.recording = context_.recorder->finish(port_, outcome);
    } catch (const std::exception&) {
      result_.recording.reset();  // lost for want of memory; what the attempt came to is in the records, and stays
    }
  }

  // The unit is proved and recorded: what happens to the device from here on does not change that.
  void after_pass() {
    observer_.on_passed();
    const engine::AfterPass after = context_.recipe.flash.after_pass;
    if (after == engine::AfterPass::nothing) return;
    observer_.on_phase(SlotPhase::finish, 0);
    const auto finished = engine::finish_device(*target_, after);
    if (!finished)
      result_.note = fmt::format("passed, but not done: {} ({})", engine::to_string(after), finished.error().message());
  }

  // Runs one step and records it. A step whose row could not be written counts as failed: there is no proof of it.
  core::Status step(const char* name, SlotPhase phase, std::uint64_t due,
                    const std::function<core::Status(StepNotes&)>& work) {
    if (stop_.stop_requested()) return core::fail("job.cancelled");
    phase_ = phase;
    observer_.on_phase(phase, due);
    db::Step row;
    row.name = name;
    row.started = context_.clock.now();
    const auto start = std::chrono::steady_clock::now();
    StepNotes notes;
    core::Status status = work(notes);
    row.duration = std::chrono::round<std::chrono::milliseconds>(std::chrono::steady_clock::now() - start);
    row.ok = status.has_value();
    row.bytes = notes.bytes;
    if (phase == SlotPhase::write) {
      result_.written = notes.bytes;
      result_.write_time = row.duration;
    }
    row.detail = notes.detail;
    if (!status) {
      row.error_id = status.error().id();
      row.detail = status.error().message() + (notes.detail.empty() ? "" : "\n" + notes.detail);
    }
    auto recorded = context_.records.add_step(*result_.id, row);
    if (status && !recorded) return recorded;
    return status;
  }

  core::Status identify(StepNotes& notes) {
    // A simulated PASS never stands among real ones, nor the other way round.
    IMPRINT_TRY(const bool is_simulated, context_.bus.is_simulated(port_));
    if (is_simulated != context_.training)
      return context_.training ? fail("station.records-mixed") : fail("station.training-only");
    IMPRINT_TRY(target_, context_.bus.open(port_));
    target_->stop_with(stop_);
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
    IMPRINT_TRY(unit_id_, context_.records.identify(*result_.id, row_of_unit(leave ? leave->reason : "")));
    if (!claimed_) return fail("unit.serial-duplicate", "it is in another slot right now").with("serial", unit_.serial);
    if (!leave) return std::unexpected(std::move(leave).error());
    notes.detail = leave->reason;
    IMPRINT_TRY(const bool passed_before, context_.records.has_passed(*unit_id_));
    if (passed_before && !leave->may_have_passed) return fail("unit.serial-duplicate").with("serial", unit_.serial);
    IMPRINT_TRY(plan_, engine::plan_for(*context_.image.image, identity_, context_.recipe.flash));
    read_back_due_ = engine::read_back_due(*plan_, context_.recipe.flash);
    IMPRINT_TRY(reads_back_, will_read_back());
    observer_.on_plan(reads_back_ ? read_back_due_ : 0);
    return {};
  }

  [[nodiscard]] db::UnitIdentity row_of_unit(const std::string& reason) const {
    db::UnitIdentity row;
    row.serial = unit_.serial;
    row.device_unique_id = identity_.unique_id;
    row.platform_id = identity_.platform_id;
    row.protocol = identity_.protocol;
    row.device_serial = identity_.serial;
    row.manual_serial = unit_.manual_serial;
    row.reason = reason;
    return row;
  }

  core::Status write(StepNotes& notes) {
    const engine::FlashPolicy& policy = context_.recipe.flash;
    const std::uint64_t due = engine::bytes_due(*target_, *context_.image.image, *plan_, policy);
    const engine::PhaseLimit limit("writing", policy.limits.write, stop_);
    engine::Pace pace(policy.least_pace, due, limit.token(), std::chrono::steady_clock::now());
    WriteObserver observer(observer_, pace, due);
    engine::WriteOutcome outcome;
    auto status = engine::write_image(*target_, *context_.image.image, *plan_, policy, observer, write_meter_,
                                      pace.token(), outcome);
    notes.bytes = observer.done();
    notes.detail = observer.log();
    if (outcome.skipped != 0) outcome.notes.push_back(std::to_string(outcome.skipped) + " bytes were there already");
    if (outcome.erased != 0) outcome.notes.push_back(std::to_string(outcome.erased) + " bytes were erased");
    for (const std::string& note : outcome.notes) notes.detail += (notes.detail.empty() ? "" : "\n") + note;
    notes.detail += (notes.detail.empty() ? "" : "\n") + waits_text(write_meter_.view().starvation);
    return limit.judge(pace.judge(std::move(status)));
  }

  core::Status read_back(StepNotes& notes) {
    const engine::FlashPolicy& policy = context_.recipe.flash;
    IMPRINT_TRY(const auto disk, open_for_read_back());
    const engine::PhaseLimit limit("reading back", policy.limits.read_back, stop_);
    engine::Pace pace(policy.least_pace, read_back_due_, limit.token(), std::chrono::steady_clock::now());
    return limit.judge(pace.judge(engine::read_back(
        *context_.image.image, *plan_, policy, *disk,
        [&](std::uint64_t done, std::uint64_t) {
          notes.bytes = done;
          pace.on_bytes(done, std::chrono::steady_clock::now());
          observer_.on_progress(done);
        },
        read_meter_, pace.token())));
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
    const engine::PhaseLimit limit("inspecting", context_.recipe.flash.limits.inspect, stop_);
    const inspect::Disk disk{result_.slot + " " + unit_.serial, std::make_shared<StoppableSource>(disk_, limit.token()),
                             identity_.disk->sector_size};
    const Recipe& recipe = context_.recipe;
    result_.report.source = disk.name;
    if (recipe.layout) result_.report.append(inspect::inspect_layout(disk, *recipe.layout, recipe.platform));
    if (recipe.check_bcd) result_.report.append(inspect::inspect_bcd(disk));
    if (recipe.recovery) result_.report.append(inspect::inspect_recovery(disk, *recipe.recovery, context_.scratch));
    // What was stopped says nothing about the device.
    if (limit.token().stop_requested()) return limit.judge(core::fail("job.cancelled"));
    std::vector<db::FindingRow> rows;
    rows.reserve(result_.report.findings.size());
    for (const inspect::Finding& finding : result_.report.findings) rows.push_back(to_row(finding));
    IMPRINT_CHECK(context_.records.add_findings(*result_.id, rows));
    IMPRINT_TRY(const inspect::Report judged, without_waived(notes));
    switch (judged.verdict()) {
      case inspect::ReportVerdict::pass:
        return {};
      case inspect::ReportVerdict::fail:
        return fail("inspect.failed", detail_of(judged, inspect::FindingVerdict::fail));
      case inspect::ReportVerdict::incomplete:
        break;
    }
    return fail("inspect.incomplete", detail_of(judged, inspect::FindingVerdict::not_checked));
  }

  // A check that failed and that somebody with the role took upon himself decides nothing; the finding stays as it is.
  // One that could not be made is not waived: nobody knows what it would have said.
  core::Result<inspect::Report> without_waived(StepNotes& notes) const {
    inspect::Report judged = result_.report;
    if (context_.rules == nullptr || !unit_id_) return judged;
    for (inspect::Finding& finding : judged.findings) {
      if (finding.verdict != inspect::FindingVerdict::fail || finding.severity != inspect::Severity::error) continue;
      IMPRINT_TRY(const auto reason, context_.rules->waiver_of(finding.check, *unit_id_));
      if (!reason) continue;
      finding.severity = inspect::Severity::warning;
      notes.detail += (notes.detail.empty() ? "waived: " : "\nwaived: ") + finding.check + ": " + *reason;
    }
    return judged;
  }

  [[nodiscard]] static std::string detail_of(const inspect::Report& report, inspect::FindingVerdict verdict) {
    const inspect::Finding* finding = deciding(report, verdict);
    return finding == nullptr ? std::string("no rule gave an answer") : finding->check + ": " + finding->message;
  }

  [[nodiscard]] db::AttemptVerdict verdict_of(const core::Status& status) const {
    if (status) return db::AttemptVerdict::passed;
    const std::string_view id = status.error().id();
    if (id == "job.cancelled") return db::AttemptVerdict::aborted;
    // Only what admission decides about the device is a refusal; a record that could not be written is not.
    const bool is_admission = phase_ == SlotPhase::admit || phase_ == SlotPhase::claim;
    if (is_admission && !id.starts_with("records.") && !id.starts_with("io.")) return db::AttemptVerdict::refused;
    if (id == "inspect.incomplete" || id == "device.read-back-unsupported") return db::AttemptVerdict::incomplete;
    return db::AttemptVerdict::failed;
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
    }
    auto closed = record_end(context_.records, *result_.id, close,
                             [this](const core::Error& why) { return observer_.on_unrecorded(why); });
    is_closed_ = closed.has_value();
    if (closed) return;
    if (!result_.error) result_.error = closed.error();
    result_.note = "the end of this attempt is not in the records: " + closed.error().message();
    if (result_.verdict == db::AttemptVerdict::passed) {
      // The unit may be good, but nothing proves it: never shown as passed.
      result_.verdict = db::AttemptVerdict::incomplete;
    }
  }

  const AttemptContext& context_;
  devices::PortPath port_;
  AttemptObserver& observer_;
  std::stop_token stop_;
  AttemptResult result_;
  SlotPhase phase_ = SlotPhase::empty;
  std::unique_ptr<engine::Target> target_;
  engine::DeviceIdentity identity_;
  UnitClaim unit_;
  std::optional<db::UnitId> unit_id_;  // set by admission
  bool rules_told_ = false;            // how it ended
  bool is_closed_ = false;             // in the records
  std::shared_ptr<const core::BlockSource> disk_;
  std::shared_ptr<const engine::WritePlan> plan_;  // set by admission, shared with the other slots
  std::uint64_t read_back_due_ = 0;
  engine::PhaseMeter write_meter_;
  engine::PhaseMeter read_meter_;
  bool reads_back_ = false;  // set by admission, too
  bool claimed_ = false;
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
