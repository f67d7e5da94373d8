// SPDX-License-Identifier: GPL-3.0-or-later
// imprint demo: the product's whole way in one run, with virtual devices. Nothing of it is made up for the occasion but
// the devices: the image, its signature, the protocol, the proofs and the records are the ones of a real line.
#include <fmt/format.h>

#include <boost/json.hpp>

#include "flash/core/atomic_file.hpp"
#include "flash/core/errors.hpp"
#include "flash/core/text.hpp"
#include "flash/ffu/hashed_unit.hpp"
#include "flash/imaging/image_builder.hpp"
#include "flash/inspect/report_json.hpp"
#include "flash/trust/signing.hpp"
#include "station/cli/commands.hpp"
#include "station/cli/demo_folder.hpp"
#include "station/cli/demo_line.hpp"
#include "station/cli/tables.hpp"
#include "station/reports/report.hpp"
#include "station/reports/report_text.hpp"

namespace imprint::station::cli {
namespace {

namespace fs = std::filesystem;

void heading(int step, std::string_view text) { print_line(fmt::format("\n[{}/6] {}", step, text)); }

core::Status build(const DemoOptions& options, const fs::path& scratch, const trust::Signer& signer,
                   core::UtcTime now) {
  core::SystemProcessRunner runner;
  imaging::BuildRequest request;
  request.workspace = options.workspace;
  request.output = options.out / "image.ffu";
  request.scratch = scratch / "build";
  request.make_catalog = [&signer, now](core::ByteView hash_table) -> core::Result<core::ByteBuffer> {
    IMPRINT_TRY(const auto catalog, trust::build_catalog(hash_table, now));
    return signer.sign(catalog, now);
  };
  std::string last_stage;
  request.progress = [&last_stage](std::string_view stage, std::uint64_t, std::uint64_t) {
    if (stage == last_stage) return;
    last_stage = stage;
    print_line(fmt::format("  {}", stage));
  };
  IMPRINT_TRY(const auto summary, imaging::build_image(request, runner));
  for (const disk::Partition& partition : summary.table.partitions) {
    print_line(fmt::format("  Partition {} {:<8} {:>10} from sector {}", partition.number, partition.name,
                           core::format_mib(partition.sector_count * summary.table.sector_size),
                           partition.first_sector));
  }
  print_line(fmt::format("  image.ffu: {} for a disk of {}, of which {} are allocated",
                         core::format_mib(summary.image_bytes), core::format_mib(summary.disk_bytes),
                         core::format_mib(summary.allocated_bytes)));
  return {};
}

core::Result<Recipe> make_recipe(const DemoOptions& options) {
  Recipe recipe;
  recipe.product = "kestrel-demo";
  recipe.policy = trust::Policy::test;
  IMPRINT_TRY(recipe.layout, disk::read_device_layout(options.workspace / "DeviceLayout.xml"));
  IMPRINT_TRY(recipe.platform, disk::read_device_platform(options.workspace / "OEMDevicePlatform.xml"));
  recipe.check_bcd = true;
  recipe.recovery = inspect::RecoveryProfile::iot_mmos;
  return recipe;
}

core::Status write_findings(const std::vector<AttemptResult>& results, const fs::path& folder) {
  for (const AttemptResult& result : results) {
    if (!result.id || result.report.findings.empty()) continue;
    const std::string text = inspect::to_json(result.report) + "\n";
    IMPRINT_CHECK(core::write_file(folder / fmt::format("slot-{}-attempt-{}.json", result.slot, *result.id),
                                   core::as_bytes(text)));
  }
  return {};
}

// What the records have to say for the demonstration to have gone as described. The records are asked, not the memory
// of this process: they are what counts.
std::vector<std::string> surprises(const std::vector<db::AttemptRow>& attempts, const db::YieldRow& yield) {
  std::vector<std::string> out;
  const auto expect = [&](bool holds, std::string text) {
    if (!holds) out.push_back(std::move(text));
  };
  const auto count = [&](const std::string& slot, db::AttemptVerdict verdict, std::string_view error) {
    return std::ranges::count_if(attempts, [&](const db::AttemptRow& row) {
      return row.opening.slot == slot && row.close && row.close->verdict == verdict && row.close->error_id == error &&
             (verdict != db::AttemptVerdict::passed || row.close->proof == db::ProofLevel::inspected);
    });
  };
  expect(attempts.size() == DemoLine::kSlots + 1,
         fmt::format("{} attempts instead of {}", attempts.size(), DemoLine::kSlots + 1));
  for (unsigned slot = 1; slot <= DemoLine::kSlots; ++slot) {
    const std::string name = std::to_string(slot);
    if (slot == DemoLine::kWrongDeviceSlot) {
      expect(count(name, db::AttemptVerdict::refused, "device.platform-mismatch") == 1,
             "slot " + name + " was not refused");
      continue;
    }
    expect(count(name, db::AttemptVerdict::passed, "") == 1, "slot " + name + " did not pass with every proof");
    if (slot == DemoLine::kPulledCableSlot) {
      expect(count(name, db::AttemptVerdict::failed, "device.disconnected") == 1,
             "slot " + name + " did not fail by its cable first");
    }
  }
  expect(yield.units == 7 && yield.first_pass == 6 && yield.final_pass == 7 && yield.refused == 1,
         "the yield is not 6 and 7 of 7");
  return out;
}

std::vector<std::vector<std::string>> slot_rows(const std::vector<db::AttemptRow>& attempts) {
  std::vector<std::vector<std::string>> rows;
  rows.reserve(attempts.size());
  for (const db::AttemptRow& row : attempts) {
    rows.push_back(
        {row.opening.slot, row.identity.serial, row.close ? std::string(db::to_string(row.close->verdict)) : "open",
         row.close ? std::string(db::to_string(row.close->proof)) : "", row.close ? row.close->error_id : ""});
  }
  std::ranges::stable_sort(rows, {}, [](const auto& row) { return row[0]; });
  return rows;
}

core::Result<bool> summarise(const db::Records& records, const std::vector<AttemptResult>& results,
                             const fs::path& out) {
  IMPRINT_CHECK(write_findings(results, out / "findings"));
  IMPRINT_TRY(const auto attempts, records.attempts({}));
  IMPRINT_TRY(const auto yield, records.yield({}, db::YieldKey::all));
  IMPRINT_TRY(const auto report,
              reports::make_report(records, {.kind = reports::Kind::yield}, {.id = "demonstration"}));
  IMPRINT_TRY(const auto sheet, reports::report_csv(report));
  IMPRINT_TRY(const auto page, reports::report_table(report));
  IMPRINT_CHECK(core::write_file(out / "yield.csv", core::as_bytes(sheet)));
  print_line("");
  print(format_table({"Slot", "Serial", "Verdict", "Proof", "Error"}, slot_rows(attempts)));
  print_line("");
  print(page);
  for (const AttemptResult& result : results) {
    if (!result.error) continue;
    print_line(core::printable(
        fmt::format("Slot {}: {}. {}", result.slot, result.error->row().text, result.error->row().remedy)));
  }
  const auto problems = surprises(attempts, yield.at(0));
  for (const std::string& problem : problems) print_line("NOT AS DESCRIBED: " + problem);
  return problems.empty();
}

core::Result<bool> demonstrate(const DemoOptions& options) {
  const core::SystemClock clock;
  const core::UtcTime now = clock.now();
  IMPRINT_TRY(const auto recipe, make_recipe(options));  // before anything is made or taken away
  IMPRINT_TRY(const auto folder, DemoFolder::take(options.out));
  IMPRINT_TRY(const auto keys, folder->make_scratch("keys"));

  heading(1, "A throw-away test root and FFU signer");
  IMPRINT_TRY(const auto authority, trust::make_test_authority(options.out / "trust", keys, now));
  IMPRINT_TRY(const auto signer, trust::Signer::from_pem(authority.signer_certificate, authority.signer_key));
  std::error_code error;
  fs::remove_all(keys, error);
  if (error) return core::fail_errno(error.value(), "io.write-failed", keys.native());
  print_line(
      fmt::format("  {}: good for this demonstration only; no key is kept", authority.root_certificate.native()));

  heading(2, "The image, from the workspace " + options.workspace.native());
  IMPRINT_CHECK(build(options, folder->scratch(), signer, now));

  heading(3, "Its signature, catalog, hash table and every chunk, under the test policy");
  IMPRINT_TRY(auto loaded, trust::TrustStore::load(options.out / "trust"));
  const auto trust_store = std::make_shared<const trust::TrustStore>(std::move(loaded));
  IMPRINT_TRY(auto image, arm_image(options.out / "image.ffu", trust::Policy::test, *trust_store, now, {}));
  for (const trust::Reason& reason : image.decision.reasons)
    print_line((reason.id.empty() ? "  ok   " : "  note ") + reason.text);
  print_line(fmt::format("  ok   all {} chunks", ffu::hashed_units(image.image->image())));

  heading(4, "Eight virtual devices in eight slots: a wrong one in slot 4, a loose cable in slot 6");
  IMPRINT_TRY(const auto records, db::Records::open(options.out / "station.db", clock));
  IMPRINT_TRY(const auto line, DemoLine::make({std::move(image), recipe, trust_store, folder->scratch()}));
  IMPRINT_TRY(const auto results, line->run(*records, clock));

  heading(5, "What was proved: every block read back, both GPT copies, layout, boot settings, recovery files");
  std::size_t checks = 0;
  for (const AttemptResult& result : results) checks += result.report.findings.size();
  print_line(fmt::format("  {} findings, in {} and in the records", checks, (options.out / "findings").native()));

  heading(6, "What the records say (TRAINING: virtual devices)");
  return summarise(*records, results, options.out);
}

}  // namespace

ExitStatus run_demo(const DemoOptions& options) {
  const auto good = demonstrate(options);
  if (!good) return report_error(good.error(), false);
  if (!*good) return ExitStatus::not_good;
  print_line("\nWhat to try next:");
  const std::string out = options.out.native();
  for (const std::string& command :
       {"imprint ffu info " + out + "/image.ffu",
        "imprint ffu verify " + out + "/image.ffu --policy test --trust " + out + "/trust",
        "imprint inspect recovery " + out + "/image.ffu --profile iot-mmos",
        "imprint inspect bcd " + out + "/image.ffu", "imprint report units --db " + out + "/station.db",
        "sqlite3 " + out + "/station.db 'SELECT serial, slot, verdict, proof, error_id FROM attempts'"}) {
    print_line("  " + std::string(command.starts_with("imprint") ? "build/bin/" : "") + command);
  }
  return ExitStatus::good;
}

}  // namespace imprint::station::cli
