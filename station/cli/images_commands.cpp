// SPDX-License-Identifier: GPL-3.0-or-later
// imprint station images: works on the store's folder, which has its own locks, so that it does no harm beside a
// daemon.
#include <fmt/format.h>
#include <pwd.h>
#include <unistd.h>

#include <boost/json.hpp>

#include "flash/core/clock.hpp"
#include "flash/core/text.hpp"
#include "station/cli/station_commands.hpp"
#include "station/cli/stop_on_signal.hpp"
#include "station/images/image_store.hpp"

namespace imprint::station::cli {
namespace {

using images::ImageRecord;
using images::ImageStore;

void print_record(const ImageRecord& record) {
  print_line(fmt::format("{}  {:>12}  {}", record.digest.substr(0, 16), core::format_mib(record.size), record.name));
  print_line(fmt::format("  Digest    {}", record.digest));
  print_line(fmt::format("  Admitted  {} under policy {}, {}", record.admitted_at, trust::to_string(record.policy),
                         record.signer.empty() ? "NO SIGNATURE WAS CHECKED" : "signed by " + record.signer));
  print_line(fmt::format("  Copy      by {}, {}", images::to_string(record.copied_by),
                         record.sealed_by == images::SealedBy::fs_verity
                             ? "sealed by fs-verity"
                             : "not sealed (the file system has no fs-verity)"));
  if (record.withdrawn) {
    print_line(
        fmt::format("  WITHDRAWN {} by {}: {}", record.withdrawn->at, record.withdrawn->by, record.withdrawn->reason));
  }
}

// Who runs this; the daemon has names of its own.
std::string user_name() {
  const uid_t user = geteuid();
  std::array<char, 4096> buffer{};
  passwd entry{};
  passwd* found = nullptr;
  if (getpwuid_r(user, &entry, buffer.data(), buffer.size(), &found) == 0 && found != nullptr) return entry.pw_name;
  return fmt::format("uid {}", user);
}

core::Result<ImageRecord> admit(const AdmitOptions& options) {
  const auto policy = trust::parse_policy(options.policy).value_or(trust::Policy::retail);
  auto trust = trust::TrustStore::empty();
  if (policy != trust::Policy::none) {
    IMPRINT_TRY(trust, trust::TrustStore::load(options.trust));
  }
  const StopOnSignal signals;
  IMPRINT_TRY(const auto store, ImageStore::open(options.images.store));
  Progress copying("Copying", options.images.json);
  Progress verifying("Verifying", options.images.json);
  const auto show = [&](images::AdmissionPhase phase, std::uint64_t done, std::uint64_t total) {
    (phase == images::AdmissionPhase::copying ? copying : verifying).update(done, total);
  };
  return store->admit({options.file, policy, core::SystemClock().now()}, trust, show, signals.token());
}

ExitStatus change(const ImageChangeOptions& options, const char* done,
                  const std::function<core::Status(ImageStore&)>& what) {
  const auto run = [&]() -> core::Result<std::string> {
    IMPRINT_TRY(const auto store, ImageStore::open_to_read(options.images.store));
    IMPRINT_TRY(const ImageRecord record, store->find(options.digest));
    IMPRINT_CHECK(what(*store));
    return record.digest;
  };
  const auto digest = run();
  if (!digest) return report_error(digest.error(), options.images.json);
  if (options.images.json) {
    print_line(boost::json::serialize(boost::json::object{{"digest", *digest}, {"done", done}}));
  } else {
    print_line(fmt::format("{} is {}", *digest, done));
  }
  return ExitStatus::good;
}

}  // namespace

ExitStatus images_admit(const AdmitOptions& options) {
  const auto record = admit(options);
  if (!record) return report_error(record.error(), options.images.json);
  if (options.images.json) {
    print_line(images::to_json(*record));
  } else {
    print_record(*record);
  }
  return ExitStatus::good;
}

ExitStatus images_list(const ImagesOptions& options) {
  const auto run = [&]() -> core::Result<std::vector<ImageRecord>> {
    IMPRINT_TRY(const auto store, ImageStore::open_to_read(options.store));
    return store->list();
  };
  const auto records = run();
  if (!records) return report_error(records.error(), options.json);
  if (options.json) {
    boost::json::array out;
    for (const ImageRecord& record : *records) out.push_back(boost::json::parse(images::to_json(record)));
    print_line(boost::json::serialize(boost::json::object{{"images", std::move(out)}}));
  } else {
    for (const ImageRecord& record : *records) print_record(record);
    if (records->empty()) print_line("No image was admitted.");
  }
  return records->empty() ? ExitStatus::nothing : ExitStatus::good;
}

ExitStatus images_withdraw(const ImageChangeOptions& options) {
  return change(options, "withdrawn", [&](ImageStore& store) {
    return store.withdraw(options.digest, user_name(), options.reason, core::SystemClock().now());
  });
}

ExitStatus images_reinstate(const ImageChangeOptions& options) {
  return change(options, "reinstated", [&](ImageStore& store) { return store.reinstate(options.digest); });
}

ExitStatus images_remove(const ImageChangeOptions& options) {
  return change(options, "removed", [&](ImageStore& store) { return store.remove(options.digest); });
}

}  // namespace imprint::station::cli
