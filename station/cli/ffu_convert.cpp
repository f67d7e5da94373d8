// SPDX-License-Identifier: GPL-3.0-or-later
// imprint ffu convert: an image in another form.
#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>

#include "flash/core/text.hpp"
#include "flash/ffu/errors.hpp"
#include "flash/ffu/unit_reader.hpp"
#include "flash/ffu/write_order.hpp"
#include "flash/ffu/writer.hpp"
#include "station/cli/commands.hpp"
#include "station/cli/ffu_file.hpp"
#include "station/cli/ffu_json.hpp"
#include "station/cli/stop_on_signal.hpp"

namespace imprint::station::cli {
namespace {

namespace json = boost::json;

// The form and the stores of an image for another one. Compression is the writer's; what cannot be compressed is said
// here in words that fit.
core::Result<ffu::WriteRequest> converted(const FfuFile& file, const ffu::PlainSource& source,
                                          const FfuConvertOptions& options) {
  const ffu::Image& image = file.image();
  ffu::WriteRequest request;
  request.compression = compression_of(options.compress);
  request.form = image.form == ffu::Form::v2 && request.compression == ffu::Compression::none
                     ? ffu::Form::v2
                     : form_for(request.compression);
  const auto has_path = [](const ffu::Store& store) { return !store.device_path.empty(); };
  if (request.form == ffu::Form::v1_compressed &&
      (image.stores.size() > 1 || std::ranges::any_of(image.stores, has_path))) {
    return ffu::fail("ffu.unwritable",
                     "a compressed image has one store without a device path; convert this one without compression")
        .with("stores", image.stores.size());
  }
  request.chunk_size = image.chunk_size;
  request.image_header_size = image.image_header_size;
  request.targets = image.targets;
  request.manifest = image.manifest_text;
  for (const ffu::Store& store : image.stores) {
    ffu::Store wanted = store;
    if (options.reorder) {
      IMPRINT_TRY(wanted, ffu::in_disk_order(wanted));
    }
    if (request.form == ffu::Form::v1_compressed) {
      IMPRINT_TRY(wanted, ffu::in_single_blocks(wanted));
    }
    request.stores.push_back({std::move(wanted), &source});
  }
  return request;
}

struct Converted {
  ffu::Form old_form = ffu::Form::v1;
  ffu::Form form = ffu::Form::v1;
  std::uint64_t old_size = 0;
  std::uint64_t size = 0;
  std::size_t writes = 0;
  bool was_signed = false;
  std::vector<std::string> warnings;
};

core::Result<Converted> convert(const FfuConvertOptions& options, const std::stop_token& stop) {
  IMPRINT_TRY(const FfuFile file, open_checked_ffu(options.in));
  IMPRINT_CHECK(check_output(options.out, {options.in}));
  IMPRINT_TRY(const auto catalog, trust::read_catalog(file.image().catalog));
  const ffu::PlainSource source(file.opened, file.file);
  IMPRINT_TRY(auto request, converted(file, source, options));
  IMPRINT_TRY(request.make_catalog, unsigned_catalogs(catalog.algorithm));
  request.stop = stop;
  Converted out{.old_form = file.image().form,
                .form = request.form,
                .old_size = file.image().file_size,
                .was_signed = catalog.is_signed,
                .warnings = {}};
  for (const ffu::StoreToWrite& store : request.stores) out.writes += store.store.descriptors.size();
  IMPRINT_TRY(auto written, write_ffu(request, options.out, options.json));
  out.size = written.size;
  out.warnings = std::move(written.warnings);
  return out;
}

}  // namespace

ExitStatus ffu_convert(const FfuConvertOptions& options) {
  const StopOnSignal signals;
  const auto done = convert(options, signals.token());
  if (!done) return report_error(done.error(), options.json);
  const auto compression = compression_of(options.compress);
  if (options.json) {
    print_line(json::serialize(json::object{{"file", name_of(options.in)},
                                            {"out", name_of(options.out)},
                                            {"form_before", ffu::to_string(done->old_form)},
                                            {"form", ffu::to_string(done->form)},
                                            {"compression", ffu::to_string(compression)},
                                            {"reordered", options.reorder},
                                            {"size_before", done->old_size},
                                            {"size", done->size},
                                            {"write_descriptors", done->writes},
                                            {"signature_checked", false},
                                            {"signature_dropped", done->was_signed},
                                            {"signed", false},
                                            {"warnings", to_json(done->warnings)}}));
    return ExitStatus::good;
  }
  print_line(fmt::format("Wrote {}: {}, {}, in {} writes{}", name_of(options.out), core::format_mib(done->size),
                         describe_form(done->form, compression), done->writes,
                         options.reorder ? " in the order of the disk" : ""));
  print_line(fmt::format("  From       {}: {}, {}", name_of(options.in), core::format_mib(done->old_size),
                         ffu::to_string(done->old_form)));
  print_warnings(done->warnings);
  say_not_checked(options.in);
  if (done->was_signed) print_line("The signature was for the old file and is not in the new one: sign it again");
  say_unsigned(options.out);
  return ExitStatus::good;
}

}  // namespace imprint::station::cli
