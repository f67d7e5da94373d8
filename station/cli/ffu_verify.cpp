// SPDX-License-Identifier: GPL-3.0-or-later
// imprint ffu verify: who signed an image, and whether every byte of it is what was signed.
#include <fmt/format.h>
#include <boost/json.hpp>

#include <algorithm>
#include <optional>

#include "flash/core/text.hpp"
#include "flash/ffu/hashed_unit.hpp"
#include "flash/ffu/verify.hpp"
#include "station/cli/commands.hpp"
#include "station/cli/ffu_file.hpp"
#include "station/cli/ffu_json.hpp"

namespace imprint::station::cli {
namespace {

namespace json = boost::json;

// Everything that was asked, with the answer.
struct Answers {
  trust::Decision decision;
  core::Status units;
  core::Status locations;
  [[nodiscard]] bool good() const { return decision.accepted && units && locations; }
};

// The one that is reported. A file that could not be read to its end does not hide that it was refused.
std::optional<core::Error> worst_of(const Answers& answers) {
  const bool unread = !answers.units && exit_status(answers.units.error()) == ExitStatus::environment;
  if (!answers.units && !(unread && !answers.decision.accepted)) return answers.units.error();
  if (!answers.decision.accepted) return answers.decision.refusal();
  if (!answers.locations) return answers.locations.error();
  return std::nullopt;
}

// What the decision says of a timestamp: when and by whom, or why it was not counted. Nothing where there is none.
std::optional<std::string> timestamp_text(const trust::Decision& decision) {
  constexpr std::string_view kCounted = "the signature was there at ";
  constexpr std::string_view kNotCounted = "the timestamp is ";
  for (const trust::Reason& reason : decision.reasons) {
    if (decision.timestamp && reason.text.starts_with(kCounted)) return reason.text.substr(kCounted.size());
    if (!decision.timestamp && reason.text.starts_with(kNotCounted)) return reason.text.substr(kNotCounted.size());
    if (reason.id == "trust.timestamp-mismatch") return reason.text;
  }
  return std::nullopt;
}

json::object decision_json(const trust::Decision& decision) {
  json::array reasons;
  for (const trust::Reason& reason : decision.reasons)
    reasons.push_back(json::object{{"good", reason.good}, {"id", reason.id}, {"text", reason.text}});
  json::object out{{"accepted", decision.accepted},         {"policy", trust::to_string(decision.policy)},
                   {"signer", to_json(decision.signer)},    {"root", to_json(decision.root)},
                   {"table_digest", decision.table_digest}, {"timestamp", nullptr},
                   {"reasons", std::move(reasons)}};
  if (decision.timestamp) out["timestamp"] = core::to_iso8601(*decision.timestamp);
  const auto text = timestamp_text(decision);
  out["timestamp_text"] = text ? json::value(*text) : json::value(nullptr);
  return out;
}

void print_json(const FfuVerifyOptions& options, const ffu::Image& image, const Answers& answers) {
  json::object out{{"file", name_of(options.file)},
                   {"verdict", answers.good() ? "pass" : "fail"},
                   {"signature_checked", answers.decision.policy != trust::Policy::none},
                   {"decision", decision_json(answers.decision)},
                   {"form", ffu::to_string(image.form)},
                   {"hashed_units", ffu::hashed_units(image)},
                   {"hashes_good", answers.units.has_value()},
                   {"locations_good", answers.locations.has_value()}};
  if (!answers.units) {
    out["error"] = json::parse(error_json(answers.units.error()));
  } else if (!answers.locations) {
    out["error"] = json::parse(error_json(answers.locations.error()));
  }
  print_line(json::serialize(out));
}

std::string units_text(const ffu::Image& image) {
  const std::uint64_t chunks = ffu::chunk_units(image);
  const std::uint64_t units = ffu::hashed_units(image);
  if (!image.is_compressed()) return fmt::format("all {} chunks have the hash that the table says", units);
  return fmt::format("all {} chunks of the headers and all {} blocks, decompressed, have the hash that the table says",
                     chunks, units - chunks);
}

std::string locations_text(const ffu::Image& image) {
  const bool all_named = image.manifest.stores.size() >= image.stores.size() &&
                         std::ranges::all_of(image.manifest.stores, [](const ffu::ManifestStore& store) {
                           return store.min_disk_bytes() != 0;
                         });
  return all_named ? "every write stays on the smallest disk that the image names"
                   : "the image does not name the size of every disk: writes to those were not held against one";
}

void print_answers(const FfuVerifyOptions& options, const ffu::Image& image, const Answers& answers) {
  print_line(fmt::format("Image     {}", name_of(options.file)));
  print_line(fmt::format("Policy    {}", trust::to_string(answers.decision.policy)));
  if (answers.decision.policy == trust::Policy::none)
    print_line("WARNING   NO SIGNATURE WAS CHECKED: policy none looks at structure and hashes only");
  if (answers.decision.policy != trust::Policy::none)
    print_line("Timestamp " + timestamp_text(answers.decision).value_or("none"));
  for (const trust::Reason& reason : answers.decision.reasons) {
    const bool is_note = reason.good && !reason.id.empty();
    const char* word = is_note ? "note" : reason.good ? "ok  " : "FAIL";
    print_line(fmt::format("  {} {}{}", word, reason.text, reason.id.empty() ? "" : " (" + reason.id + ")"));
  }
  const auto print = [](const core::Status& status, const std::string& text) {
    print_line(status ? "  ok   " + text
                      : fmt::format("  FAIL {} ({})", core::printable(status.error().message()), status.error().id()));
  };
  print(answers.units, units_text(image));
  print(answers.locations, locations_text(image));
  print_line(answers.good() ? "Verdict   PASS" : "Verdict   FAIL");
}

}  // namespace

ExitStatus ffu_verify(const FfuVerifyOptions& options) {
  const auto policy = trust::parse_policy(options.policy).value_or(trust::Policy::retail);
  auto trust_store = trust::TrustStore::empty();
  if (policy != trust::Policy::none) {
    auto loaded = trust::TrustStore::load(options.trust);
    if (!loaded) return report_error(loaded.error(), options.json);
    trust_store = std::move(*loaded);
  }
  const auto file = open_ffu(options.file);
  if (!file) return report_error(file.error(), options.json);
  Answers answers;
  answers.decision = trust::decide(file->image(), policy, trust_store, core::SystemClock().now());
  {
    Progress progress("Hashing", options.json);
    answers.units = ffu::verify_units(*file->opened, *file->file, 0,
                                      [&](std::uint64_t done, std::uint64_t total) { progress.update(done, total); });
  }
  answers.locations = ffu::check_locations(file->image());
  if (options.json) {
    print_json(options, file->image(), answers);
  } else {
    print_answers(options, file->image(), answers);
  }
  const auto worst = worst_of(answers);
  if (!worst) return ExitStatus::good;
  const ExitStatus status = options.json ? exit_status(*worst) : report_error(*worst, false);
  // Whoever's fault the reason is, a stale revocation list's too: the image was judged, and refused.
  return answers.decision.accepted ? status : ExitStatus::not_good;
}

}  // namespace imprint::station::cli
