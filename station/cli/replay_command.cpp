// SPDX-License-Identifier: GPL-3.0-or-later
// imprint replay: recordings of transfers as tests of this program.
#include <fmt/format.h>

#include <boost/json.hpp>

#include "devices/capture/errors.hpp"
#include "devices/capture/replay_bus.hpp"
#include "flash/core/block_io.hpp"
#include "flash/core/clock.hpp"
#include "flash/core/errors.hpp"
#include "flash/core/text.hpp"
#include "station/armed_image.hpp"
#include "station/cli/device_commands.hpp"
#include "station/cli/scratch.hpp"
#include "station/cli/stop_on_signal.hpp"
#include "station/replay.hpp"

namespace imprint::station::cli {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;
using capture::RecordedAttempt;
using capture::TransferKind;

// What is said of one attempt. Nothing was replayed where the device is none of ours.
struct Line {
  const RecordedAttempt* recorded = nullptr;
  std::optional<ReplayReport> report;
};

struct Replayed {
  std::shared_ptr<const capture::Recording> recording;
  std::string image;  // its identity
  std::vector<Line> lines;
};

core::Result<ArmedImage> open_image(const ReplayOptions& options) {
  Progress progress("Verifying", options.json);
  return arm_image(*options.image, trust::Policy::none, trust::TrustStore::empty(), core::SystemClock().now(),
                   [&](std::uint64_t done, std::uint64_t total) { progress.update(done, total); });
}

core::Result<std::shared_ptr<const capture::Recording>> open_recording(const fs::path& file) {
  IMPRINT_TRY(std::shared_ptr<const core::BlockSource> source, core::FileSource::open(file));
  auto recording = capture::Recording::read(std::move(source));
  if (!recording) recording.error().add_context("file", file.native());
  return recording;
}

core::Result<Replayed> replay(const ReplayOptions& options, const std::stop_token& stop) {
  Replayed out;
  IMPRINT_TRY(out.recording, open_recording(options.file));
  std::optional<ArmedImage> image;
  if (options.image) {
    IMPRINT_TRY(image, open_image(options));
    out.image = image->image->identity();
  }
  bool any = false;
  const auto& attempts = out.recording->attempts();
  for (std::size_t i = 0; i < attempts.size(); ++i) {
    if (options.port && attempts[i].port.text != *options.port) continue;
    Line line{&attempts[i], {}};
    if (capture::protocol_of(attempts[i])) {
      IMPRINT_TRY(const Scratch scratch, Scratch::make());
      IMPRINT_TRY(line.report, replay_attempt(out.recording, i, image ? &*image : nullptr, scratch.path(), stop));
      any = true;
    }
    out.lines.push_back(std::move(line));
  }
  if (!any) return capture::fail("capture.nothing-to-replay").with("file", options.file.native());
  return out;
}

std::string protocol_text(const RecordedAttempt& attempt) {
  const auto protocol = capture::protocol_of(attempt);
  return protocol ? std::string(devices::to_string(*protocol)) : "unknown";
}

std::string ids_of(const RecordedAttempt& attempt) {
  const devices::UsbIdentity& identity = attempt.connections.front().identity;
  return fmt::format("{:04x}:{:04x}", identity.vendor_id, identity.product_id);
}

json::value text_or_null(const std::string& text) { return text.empty() ? json::value(nullptr) : json::value(text); }

json::object to_json(const capture::Outcome& outcome) {
  return {{"verdict", outcome.verdict}, {"error", text_or_null(outcome.error)},
          {"proof", outcome.proof},     {"attempt", outcome.attempt},
          {"slot", outcome.slot},       {"serial", outcome.serial},
          {"image", outcome.image}};
}

json::object to_json(const core::Error& difference) {
  json::object out{{"id", std::string(difference.id())}, {"detail", difference.detail()}};
  for (const auto& [key, value] : difference.context()) out[key] = value;
  return out;
}

json::object to_json(const Line& line) {
  const RecordedAttempt& recorded = *line.recorded;
  json::object out{{"port", recorded.port.text},
                   {"protocol", protocol_text(recorded)},
                   {"usb_id", ids_of(recorded)},
                   {"usb_serial", recorded.connections.front().identity.serial},
                   {"connections", recorded.connections.size()},
                   {"transfers", recorded.transfers()},
                   {"bytes_out", recorded.bytes(TransferKind::bulk_out)},
                   {"bytes_in", recorded.bytes(TransferKind::bulk_in)},
                   {"gap", recorded.has_gap()}};
  out["recorded"] = recorded.outcome ? json::value(to_json(*recorded.outcome)) : json::value(nullptr);
  out["result"] = nullptr;
  if (!line.report) return out;
  const ReplayReport& report = *line.report;
  out["result"] = std::string(to_string(report.result));
  out["replayed"] = json::object{
      {"transfers", report.transfers},
      {"bytes_not_compared", report.uncompared},
      {"verdict", report.verdict ? json::value(std::string(db::to_string(*report.verdict))) : json::value(nullptr)},
      {"error", report.error ? json::value(std::string(report.error->id())) : json::value(nullptr)}};
  out["difference"] = report.difference ? json::value(to_json(*report.difference)) : json::value(nullptr);
  out["note"] = report.note;
  return out;
}

void print_recorded(const RecordedAttempt& recorded) {
  const std::string& serial = recorded.connections.front().identity.serial;
  print_line(core::printable(fmt::format("Port {}: {} {}{}", recorded.port.text, protocol_text(recorded),
                                         ids_of(recorded), serial.empty() ? "" : ", serial " + serial)));
  print_line(fmt::format("  Recorded   {} transfers in {} connection{}, {} to the device, {} from it{}",
                         recorded.transfers(), recorded.connections.size(), recorded.connections.size() == 1 ? "" : "s",
                         core::format_mib(recorded.bytes(TransferKind::bulk_out)),
                         core::format_mib(recorded.bytes(TransferKind::bulk_in)),
                         recorded.has_gap() ? "; those in the middle are missing" : ""));
  if (!recorded.outcome) return;
  const capture::Outcome& outcome = *recorded.outcome;
  print_line(fmt::format("  Outcome    attempt {} in slot {}: {}{}", outcome.attempt, outcome.slot, outcome.verdict,
                         outcome.error.empty() ? "" : ", " + outcome.error));
}

void print_report(const ReplayReport& report) {
  std::string outcome = report.verdict ? std::string(db::to_string(*report.verdict)) : "identification";
  if (report.error) outcome += fmt::format(", {}", report.error->id());
  print_line(fmt::format("  Replayed   {} transfers: {}", report.transfers, outcome));
  switch (report.result) {
    case ReplayResult::agrees:
      print_line("  AGREES");
      break;
    case ReplayResult::agrees_to_end:
      print_line("  AGREES AS FAR AS THE RECORDING GOES");
      break;
    case ReplayResult::differs:
      print_line(core::printable("  DIFFERS: " + report.difference->message()));
      break;
  }
  if (!report.note.empty()) print_line(core::printable("  " + report.note));
}

bool is_other_image(const Replayed& replayed, const Line& line) {
  return !replayed.image.empty() && line.recorded->outcome && !line.recorded->outcome->image.empty() &&
         line.recorded->outcome->image != replayed.image;
}

void print_all(const Replayed& replayed, const ReplayOptions& options) {
  const capture::Recording& recording = *replayed.recording;
  if (options.json) {
    json::array attempts;
    for (const Line& line : replayed.lines) {
      attempts.push_back(to_json(line));
      attempts.back().as_object()["same_image"] =
          replayed.image.empty() ? json::value(nullptr) : json::value(!is_other_image(replayed, line));
    }
    print_line(json::serialize(json::object{{"file", core::printable(options.file.native())},
                                            {"program", recording.program()},
                                            {"cut_off", recording.is_cut_off()},
                                            {"attempts", std::move(attempts)}}));
    return;
  }
  print_line(core::printable(fmt::format("Recording {}{}{}", options.file.native(),
                                         recording.program().empty() ? "" : ", written by ", recording.program())));
  if (recording.is_cut_off()) print_line("WARNING: the end of the file is missing");
  for (const Line& line : replayed.lines) {
    print_recorded(*line.recorded);
    if (is_other_image(replayed, line)) print_line("  WARNING: another image than the one that was flashed");
    if (line.report) {
      print_report(*line.report);
    } else {
      print_line("  Not replayed: it does not say what device this is, or it is none that is flashed");
    }
  }
}

}  // namespace

ExitStatus replay_recording(const ReplayOptions& options) {
  const StopOnSignal signals;
  const auto done = replay(options, signals.token());
  if (!done) {
    const ExitStatus status = report_error(done.error(), options.json);
    return done.error().id() == "capture.nothing-to-replay" ? ExitStatus::nothing : status;
  }
  print_all(*done, options);
  const bool differs = std::ranges::any_of(
      done->lines, [](const Line& line) { return line.report && line.report->result == ReplayResult::differs; });
  return differs ? ExitStatus::not_good : ExitStatus::good;
}

}  // namespace imprint::station::cli
