// SPDX-License-Identifier: GPL-3.0-or-later
// imprint ffu extract: the disk that an image describes, as a sparse file.
#include <fmt/format.h>
#include <boost/json.hpp>

#include "flash/core/text.hpp"
#include "flash/ffu/disk_map.hpp"
#include "flash/ffu/extract.hpp"
#include "station/cli/commands.hpp"
#include "station/cli/ffu_file.hpp"
#include "station/cli/ffu_json.hpp"
#include "station/cli/replacing_file.hpp"
#include "station/cli/stop_on_signal.hpp"
#include "station/errors.hpp"

namespace imprint::station::cli {
namespace {

namespace json = boost::json;

struct Extracted {
  std::uint64_t disk_bytes = 0;
  std::uint64_t described_bytes = 0;
  bool partial = false;
  std::vector<std::string> warnings;
};

core::Result<Extracted> extract(const FfuExtractOptions& options, const std::stop_token& stop) {
  if (options.size && *options.size > static_cast<std::uint64_t>(INT64_MAX))
    return fail("usage.invalid", "--size is larger than any file").with("actual", *options.size);
  IMPRINT_TRY(const FfuFile file, open_checked_ffu(options.file));
  IMPRINT_CHECK(check_output(options.out, {options.file}));
  IMPRINT_TRY(const auto size, ffu::disk_bytes_for(file.image(), options.store, options.size));
  const ffu::Store& store = file.image().stores[options.store];
  IMPRINT_TRY(const auto map, ffu::DiskMap::build(store, size));
  IMPRINT_TRY(const auto out, ReplacingFile::make(options.out));
  Extracted extracted{size, map.described_bytes(), store.update_type == ffu::UpdateType::partial, {}};
  {
    Progress progress("Extracting", options.json);
    IMPRINT_TRY(const auto sink, out->open(size));
    IMPRINT_CHECK(ffu::extract_disk(
        *file.opened, *file.file, map, *sink, 0,
        [&](std::uint64_t done, std::uint64_t total) { progress.update(done, total); }, stop));
    IMPRINT_TRY(extracted.warnings, out->commit());
  }
  return extracted;
}

}  // namespace

ExitStatus ffu_extract(const FfuExtractOptions& options) {
  const StopOnSignal signals;
  const auto done = extract(options, signals.token());
  if (!done) return report_error(done.error(), options.json);
  if (options.json) {
    print_line(json::serialize(json::object{{"file", name_of(options.file)},
                                            {"out", name_of(options.out)},
                                            {"store", options.store},
                                            {"disk_bytes", done->disk_bytes},
                                            {"described_bytes", done->described_bytes},
                                            {"partial_update", done->partial},
                                            {"signature_checked", false},
                                            {"warnings", to_json(done->warnings)}}));
    return ExitStatus::good;
  }
  print_line(fmt::format("Extracted {} as a disk of {} to {}; all that was read had its hash", name_of(options.file),
                         core::format_mib(done->disk_bytes), name_of(options.out)));
  print_warnings(done->warnings);
  say_not_checked(options.file);
  if (done->partial) {
    print_line(
        fmt::format("This is a PARTIAL update: only the {} that it describes are in the file, the rest of it "
                    "is zeros",
                    core::format_mib(done->described_bytes)));
  }
  return ExitStatus::good;
}

}  // namespace imprint::station::cli
