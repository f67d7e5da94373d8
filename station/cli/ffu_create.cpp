// SPDX-License-Identifier: GPL-3.0-or-later
// imprint ffu create: an image of one disk, or of several in a V2 image.
#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>

#include "flash/core/errors.hpp"
#include "flash/core/text.hpp"
#include "flash/ffu/manifest.hpp"
#include "flash/ffu/writer.hpp"
#include "flash/imaging/capture.hpp"
#include "station/cli/commands.hpp"
#include "station/cli/ffu_file.hpp"
#include "station/cli/ffu_json.hpp"
#include "station/cli/stop_on_signal.hpp"
#include "station/errors.hpp"

namespace imprint::station::cli {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

ffu::Form form_of(const FfuCreateOptions& options) {
  return options.form == "v2" ? ffu::Form::v2 : form_for(compression_of(options.compress));
}

// DISK, then each --store.
std::vector<fs::path> disks_of(const FfuCreateOptions& options) {
  std::vector<fs::path> out{options.disk};
  out.insert(out.end(), options.stores.begin(), options.stores.end());
  return out;
}

core::Status check_device_paths(const FfuCreateOptions& options) {
  const std::vector<std::string>& paths = options.device_paths;
  const std::size_t stores = 1 + options.stores.size();
  if (paths.size() > stores || (stores > 1 && paths.size() != stores)) {
    return fail("usage.invalid", "several stores need a --device-path each: for DISK, then for every --store in order")
        .with("stores", stores)
        .with("device_paths", paths.size());
  }
  for (std::size_t i = 0; i < paths.size(); ++i) {
    // They are lines of the manifest, which is ASCII.
    const bool is_plain = std::ranges::all_of(paths[i], [](char c) { return c > ' ' && c <= '~'; });
    if (paths[i].empty() || !is_plain)
      return fail("usage.invalid", "a device path is printable ASCII without spaces").with("actual", paths[i]);
    if (std::ranges::count(paths, paths[i]) > 1)
      return fail("usage.invalid", "two stores cannot have the same device path").with("actual", paths[i]);
  }
  return {};
}

core::Status check_usage(const FfuCreateOptions& options) {
  if (const auto status = ffu::check_platform_ids(options.platform_ids); !status)
    return fail("usage.invalid", "--platform").caused_by(status.error());
  for (const std::string& id : options.platform_ids) {
    if (id.find(' ') != std::string::npos)
      return fail("usage.invalid", "--platform: an id has no blanks in it").with("actual", id);
  }
  if (options.form != "v2" && (!options.stores.empty() || !options.device_paths.empty()))
    return fail("usage.invalid", "--store and --device-path need --form v2");
  if (options.form == "v2" && options.compress != "none")
    return fail("usage.invalid", "V2 images are not compressed: leave out --compress or --form v2");
  return check_device_paths(options);
}

core::Result<ffu::DeviceTarget> parse_target(const std::vector<std::string>& words) {
  ffu::DeviceTarget out;
  const std::pair<std::string_view, std::string*> fields[] = {{"manufacturer", &out.manufacturer},
                                                              {"family", &out.family},
                                                              {"product", &out.product_name},
                                                              {"version", &out.product_version},
                                                              {"sku", &out.sku_number},
                                                              {"board-manufacturer", &out.baseboard_manufacturer},
                                                              {"board", &out.baseboard_product}};
  for (const std::string& word : words) {
    const std::size_t equals = word.find('=');
    const std::string_view key = std::string_view(word).substr(0, equals);
    const auto field = std::ranges::find_if(fields, [&](const auto& one) { return one.first == key; });
    if (equals == std::string::npos || field == std::end(fields)) {
      return fail(
                 "usage.invalid",
                 "--target takes KEY=TEXT of manufacturer, family, product, version, sku, board-manufacturer and board")
          .with("actual", word);
    }
    std::string text = word.substr(equals + 1);
    if (text.empty() || !field->second->empty())
      return fail("usage.invalid", "--target: the text is empty, or given twice").with("actual", word);
    if (core::printable(text) != text)
      return fail("usage.invalid", "--target: the text holds characters that cannot be shown").with("actual", word);
    *field->second = std::move(text);
  }
  return out;
}

struct CreatedStore {
  fs::path file;
  std::shared_ptr<const core::BlockSource> disk;
  imaging::Capture capture;
};

struct Created {
  std::uint64_t size = 0;
  std::vector<CreatedStore> stores;
  std::size_t targets = 0;
  std::vector<std::string> warnings;
};

core::Result<imaging::Capture> capture(const FfuCreateOptions& options, const fs::path& file,
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
  if (!capture) capture.error().add_context("file", file.native());
  return capture;
}

// One manifest for all stores: the first one's head, then each store with its device path and partitions.
core::Result<std::string> join_manifests(const std::vector<CreatedStore>& stores) {
  std::vector<ffu::ManifestSection> sections;
  for (const CreatedStore& store : stores) {
    IMPRINT_TRY(const ffu::Manifest manifest, ffu::parse_manifest(store.capture.manifest));
    for (const ffu::ManifestSection& section : manifest.sections) {
      if (section.name == "FullFlash" && !sections.empty()) continue;
      sections.push_back(section);
      const std::string& path = store.capture.store.device_path;
      if (section.name == "Store" && !path.empty()) sections.back().values.emplace_back("DevicePath", path);
    }
  }
  return ffu::format_manifest(sections);
}

core::Result<Created> create(const FfuCreateOptions& options, const std::stop_token& stop) {
  IMPRINT_CHECK(check_usage(options));
  Created out;
  ffu::WriteRequest request;
  for (const std::vector<std::string>& words : options.targets) {
    IMPRINT_TRY(auto target, parse_target(words));
    request.targets.push_back(std::move(target));
  }
  out.targets = request.targets.size();
  if (!request.targets.empty()) request.image_header_size = 28;
  for (const fs::path& file : disks_of(options)) {
    IMPRINT_TRY(std::shared_ptr<const core::BlockSource> disk, core::FileSource::open(file));
    out.stores.push_back({file, std::move(disk), {}});
  }
  IMPRINT_CHECK(check_output(options.out, disks_of(options)));
  IMPRINT_TRY(request.make_catalog, unsigned_catalogs());
  for (std::size_t i = 0; i < out.stores.size(); ++i) {
    CreatedStore& store = out.stores[i];
    IMPRINT_TRY(store.capture, capture(options, store.file, store.disk, stop));
    if (i < options.device_paths.size()) store.capture.store.device_path = options.device_paths[i];
    request.stores.push_back({store.capture.store, store.disk.get()});
  }
  request.compression = compression_of(options.compress);
  request.form = form_of(options);
  IMPRINT_TRY(request.manifest, join_manifests(out.stores));
  request.stop = stop;
  IMPRINT_TRY(auto written, write_ffu(request, options.out, options.json));
  out.size = written.size;
  out.warnings = std::move(written.warnings);
  return out;
}

std::string style_of(const imaging::Capture& capture) {
  if (!capture.table) return "none";
  return capture.table->style == disk::TableStyle::gpt ? "gpt" : "mbr";
}

// How much of the disk is in the image: the last block of it may be longer than the disk.
std::uint64_t content_bytes(const FfuCreateOptions& options, const CreatedStore& store) {
  return std::min(store.capture.content.aligned(options.block_size).total(), store.disk->size());
}

void print_store(const FfuCreateOptions& options, const CreatedStore& store) {
  const imaging::Capture& capture = store.capture;
  print_line(fmt::format("  Disk       {} of {} in sectors of {} bytes; {} of it are in the image, in {} writes",
                         name_of(store.file), core::format_mib(store.disk->size()), capture.sector_size,
                         core::format_mib(content_bytes(options, store)), capture.store.descriptors.size()));
  if (!capture.store.device_path.empty()) print_line(fmt::format("  Device     {}", capture.store.device_path));
  if (!capture.table) {
    print_line("  Partitions no table that can be read: the disk was taken as it is");
    return;
  }
  for (const disk::Partition& partition : capture.table->partitions) {
    print_line(fmt::format("  Partition  {:<2} {:<14} {:>14}", partition.number, core::printable(partition.name),
                           core::format_mib(partition.sector_count * capture.sector_size)));
  }
}

json::object store_json(const FfuCreateOptions& options, const CreatedStore& store) {
  const imaging::Capture& capture = store.capture;
  return {{"disk", name_of(store.file)},
          {"device_path", capture.store.device_path},
          {"disk_bytes", store.disk->size()},
          {"sector_size", capture.sector_size},
          {"partition_table", style_of(capture)},
          {"partitions", capture.table ? capture.table->partitions.size() : 0},
          {"content_bytes", content_bytes(options, store)},
          {"write_descriptors", capture.store.descriptors.size()}};
}

}  // namespace

ExitStatus ffu_create(const FfuCreateOptions& options) {
  const StopOnSignal signals;
  const auto done = create(options, signals.token());
  if (!done) return report_error(done.error(), options.json);
  const auto compression = compression_of(options.compress);
  if (options.json) {
    json::array stores;
    for (const CreatedStore& store : done->stores) stores.push_back(store_json(options, store));
    print_line(json::serialize(json::object{{"out", name_of(options.out)},
                                            {"form", ffu::to_string(form_of(options))},
                                            {"compression", ffu::to_string(compression)},
                                            {"size", done->size},
                                            {"block_size", options.block_size},
                                            {"device_targets", done->targets},
                                            {"stores", std::move(stores)},
                                            {"signed", false},
                                            {"warnings", to_json(done->warnings)}}));
    return ExitStatus::good;
  }
  print_line(fmt::format("Wrote {}: {}, {}", name_of(options.out), core::format_mib(done->size),
                         describe_form(form_of(options), compression)));
  for (const CreatedStore& store : done->stores) print_store(options, store);
  if (done->targets != 0) print_line(fmt::format("  Targets    {} device models", done->targets));
  print_warnings(done->warnings);
  say_unsigned(options.out);
  return ExitStatus::good;
}

}  // namespace imprint::station::cli
