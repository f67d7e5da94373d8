// SPDX-License-Identifier: GPL-3.0-or-later
// imprint ffu create and convert: images from disks, and from other images.
#include <fmt/format.h>

#include <algorithm>

#include "flash/core/atomic_file.hpp"
#include "flash/ffu/errors.hpp"
#include "flash/ffu/unit_reader.hpp"
#include "flash/ffu/write_order.hpp"
#include "flash/ffu/writer.hpp"
#include "flash/imaging/capture.hpp"
#include "station/cli/commands.hpp"
#include "station/cli/ffu_file.hpp"
#include "station/cli/ffu_json.hpp"
#include "station/cli/stop_on_signal.hpp"
#include "station/errors.hpp"

namespace imprint::station::cli {
namespace {

namespace json = boost::json;

// Parsed by the command line already, which takes no other names.
ffu::Compression compression_of(const std::string& name) {
  return ffu::parse_compression(name).value_or(ffu::Compression::none);
}

core::Result<std::uint64_t> write(ffu::WriteRequest& request, const std::filesystem::path& out, bool quiet) {
  core::AtomicFile file(out);
  for (;;) {
    Progress progress("Writing", quiet);
    request.progress = [&](std::uint64_t done, std::uint64_t total) { progress.update(done, total); };
    IMPRINT_TRY(const auto sink, core::FileSink::create(file.temporary_path(), 0));
    IMPRINT_TRY(const auto size, ffu::write_image(request, *sink));
    const auto written = open_ffu(file.temporary_path());
    if (written) {
      IMPRINT_CHECK(file.commit());
      return size;
    }
    // Zeros at the end of the payload and blocks smaller than a chunk: no reader can tell where the payload begins.
    // Where chunks are as small as blocks, there is only one place.
    std::uint32_t smallest = request.chunk_size;
    for (const ffu::StoreToWrite& store : request.stores) smallest = std::min(smallest, store.store.block_size);
    if (written.error().id() != "ffu.padding-ambiguous" || smallest == request.chunk_size)
      return std::unexpected(written.error());
    request.chunk_size = smallest;
  }
}

void say_unsigned(const std::filesystem::path& out) {
  print_line(fmt::format("It is not signed yet: imprint ffu sign {} --cert CERT --key KEY", name_of(out)));
}

struct Created {
  std::uint64_t size = 0;
  std::uint64_t disk_bytes = 0;
  std::uint64_t content_bytes = 0;
  imaging::Capture capture;
};

core::Result<imaging::Capture> capture(const FfuCreateOptions& options,
                                       const std::shared_ptr<const core::BlockSource>& disk,
                                       const std::stop_token& stop) {
  Progress progress("Reading", options.json);
  auto capture = imaging::capture_disk(
      disk, {.platform_ids = options.platform_ids,
             .block_size = options.block_size,
             .sector_size = options.sector_size,
             .description = "Captured by Imprint",
             .progress = [&](std::uint64_t done, std::uint64_t total) { progress.update(done, total); },
             .stop = stop});
  if (!capture) capture.error().add_context("file", options.disk.native());
  return capture;
}

core::Result<Created> create(const FfuCreateOptions& options, const std::stop_token& stop) {
  IMPRINT_TRY(std::shared_ptr<const core::BlockSource> disk, core::FileSource::open(options.disk));
  IMPRINT_CHECK(check_output(options.out, {options.disk}));
  IMPRINT_TRY(auto make_catalog, unsigned_catalogs());
  Created out;
  IMPRINT_TRY(out.capture, capture(options, disk, stop));
  ffu::WriteRequest request;
  request.compression = compression_of(options.compress);
  request.form = form_for(request.compression);
  request.manifest = out.capture.manifest;
  request.stores.push_back({out.capture.store, disk.get()});
  request.make_catalog = std::move(make_catalog);
  request.stop = stop;
  IMPRINT_TRY(out.size, write(request, options.out, options.json));
  out.disk_bytes = disk->size();
  out.content_bytes = out.capture.content.aligned(options.block_size).total();
  return out;
}

std::string style_of(const imaging::Capture& capture) {
  if (!capture.table) return "none";
  return capture.table->style == disk::TableStyle::gpt ? "gpt" : "mbr";
}

void print_created(const FfuCreateOptions& options, const Created& done) {
  const auto compression = compression_of(options.compress);
  print_line(fmt::format("Wrote {}: {}, {}", name_of(options.out), core::format_mib(done.size),
                         describe_form(form_for(compression), compression)));
  print_line(fmt::format("  Disk       {} of {} in sectors of {} bytes; {} of it are in the image, in {} writes",
                         name_of(options.disk), core::format_mib(done.disk_bytes), done.capture.sector_size,
                         core::format_mib(std::min(done.content_bytes, done.disk_bytes)),
                         done.capture.store.descriptors.size()));
  if (!done.capture.table) {
    print_line("  Partitions no table that can be read: the disk was taken as it is");
  } else {
    for (const disk::Partition& partition : done.capture.table->partitions) {
      print_line(fmt::format("  Partition  {:<2} {:<14} {:>14}", partition.number, core::printable(partition.name),
                             core::format_mib(partition.sector_count * done.capture.sector_size)));
    }
  }
  say_unsigned(options.out);
}

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
};

core::Result<Converted> convert(const FfuConvertOptions& options, const std::stop_token& stop) {
  IMPRINT_TRY(const FfuFile file, open_ffu(options.in));
  IMPRINT_CHECK(check_output(options.out, {options.in}));
  IMPRINT_CHECK(check_catalog(file.image()));
  IMPRINT_TRY(const auto catalog, trust::read_catalog(file.image().catalog));
  const ffu::PlainSource source(file.opened, file.file);
  IMPRINT_TRY(auto request, converted(file, source, options));
  IMPRINT_TRY(request.make_catalog, unsigned_catalogs(catalog.algorithm));
  request.stop = stop;
  Converted out{.old_form = file.image().form,
                .form = request.form,
                .old_size = file.image().file_size,
                .was_signed = catalog.is_signed};
  for (const ffu::StoreToWrite& store : request.stores) out.writes += store.store.descriptors.size();
  IMPRINT_TRY(out.size, write(request, options.out, options.json));
  return out;
}

}  // namespace

ExitStatus ffu_create(const FfuCreateOptions& options) {
  const StopOnSignal signals;
  const auto done = create(options, signals.token());
  if (!done) return report_error(done.error(), options.json);
  if (!options.json) {
    print_created(options, *done);
    return ExitStatus::good;
  }
  const auto compression = compression_of(options.compress);
  print_line(
      json::serialize(json::object{{"disk", name_of(options.disk)},
                                   {"out", name_of(options.out)},
                                   {"form", ffu::to_string(form_for(compression))},
                                   {"compression", ffu::to_string(compression)},
                                   {"size", done->size},
                                   {"disk_bytes", done->disk_bytes},
                                   {"sector_size", done->capture.sector_size},
                                   {"block_size", options.block_size},
                                   {"partition_table", style_of(done->capture)},
                                   {"partitions", done->capture.table ? done->capture.table->partitions.size() : 0},
                                   {"content_bytes", done->content_bytes},
                                   {"write_descriptors", done->capture.store.descriptors.size()},
                                   {"signed", false}}));
  return ExitStatus::good;
}

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
                                            {"signature_dropped", done->was_signed},
                                            {"signed", false}}));
    return ExitStatus::good;
  }
  print_line(fmt::format("Wrote {}: {}, {}, in {} writes{}", name_of(options.out), core::format_mib(done->size),
                         describe_form(done->form, compression), done->writes,
                         options.reorder ? " in the order of the disk" : ""));
  print_line(fmt::format("  From       {}: {}, {}", name_of(options.in), core::format_mib(done->old_size),
                         ffu::to_string(done->old_form)));
  if (done->was_signed) print_line("The signature was for the old file and is not in the new one: sign it again");
  say_unsigned(options.out);
  return ExitStatus::good;
}

}  // namespace imprint::station::cli
