// SPDX-License-Identifier: GPL-3.0-or-later
// imprint ffu info: what the headers of an image say, without its payload being read.
#include <fmt/format.h>
#include <boost/json.hpp>

#include <algorithm>
#include <optional>

#include "flash/core/bytes.hpp"
#include "flash/core/text.hpp"
#include "flash/ffu/disk_map.hpp"
#include "flash/ffu/hashed_unit.hpp"
#include "flash/trust/named_signer.hpp"
#include "station/cli/commands.hpp"
#include "station/cli/ffu_file.hpp"
#include "station/cli/ffu_json.hpp"

namespace imprint::station::cli {
namespace {

namespace json = boost::json;

// A sum or product that a hostile image makes too large for 64 bits stays at the largest number.
std::uint64_t times(std::uint64_t a, std::uint64_t b) {
  std::uint64_t out = 0;
  return core::checked_mul(a, b, out) ? out : UINT64_MAX;
}
std::uint64_t plus(std::uint64_t a, std::uint64_t b) {
  std::uint64_t out = 0;
  return core::checked_add(a, b, out) ? out : UINT64_MAX;
}

// What the descriptors of a store add up to.
struct WriteFigures {
  std::uint64_t plain_bytes = 0;
  std::uint64_t written_bytes = 0;  // at all places together
  std::size_t to_several_places = 0;
  std::size_t from_disk_end = 0;
  std::optional<std::uint64_t> described_bytes;  // of the smallest disk
  std::optional<core::Error> beyond_disk;
};

// How much of the disk the writes cover. Their order does not matter for that, so a sort does what a map would take
// several times as long for. `ffu.location-out-of-disk`.
core::Result<std::uint64_t> covered_bytes(const ffu::Store& store, std::uint64_t disk_bytes) {
  std::vector<std::pair<std::uint64_t, std::uint64_t>> places;  // from, to
  places.reserve(store.locations.size());
  for (const ffu::WriteDescriptor& descriptor : store.descriptors) {
    if (descriptor.block_count == 0) continue;
    const std::uint64_t length = std::uint64_t{descriptor.block_count} * store.block_size;
    for (const ffu::DiskLocation& location : store.locations_of(descriptor)) {
      IMPRINT_TRY(const auto last,
                  ffu::disk_offset(location, descriptor.block_count - 1, store.block_size, disk_bytes));
      const std::uint64_t end = last + store.block_size;
      places.emplace_back(end - length, end);
    }
  }
  if (!std::ranges::is_sorted(places)) std::ranges::sort(places);
  std::uint64_t covered = 0;
  std::uint64_t reach = 0;
  for (const auto& [from, to] : places) {
    if (to <= reach) continue;
    covered += to - std::max(from, reach);
    reach = to;
  }
  return covered;
}

WriteFigures figures_of(const ffu::Image& image, std::size_t index) {
  const ffu::Store& store = image.stores[index];
  WriteFigures out;
  for (const ffu::WriteDescriptor& descriptor : store.descriptors) {
    const std::uint64_t bytes = std::uint64_t{descriptor.block_count} * store.block_size;
    const auto locations = store.locations_of(descriptor);
    out.plain_bytes = plus(out.plain_bytes, bytes);
    out.written_bytes = plus(out.written_bytes, times(bytes, locations.size()));
    if (locations.size() > 1) ++out.to_several_places;
    const auto from_end = [](const ffu::DiskLocation& one) { return one.method == ffu::AccessMethod::disk_end; };
    if (std::ranges::any_of(locations, from_end)) ++out.from_disk_end;
  }
  const auto size = ffu::disk_bytes_for(image, index, std::nullopt);
  if (!size) return out;
  if (auto covered = covered_bytes(store, *size)) {
    out.described_bytes = *covered;
  } else {
    out.beyond_disk = std::move(covered).error();
  }
  return out;
}

std::string form_text(const ffu::Image& image) {
  if (!image.is_compressed()) return std::string(ffu::to_string(image.form));
  const std::uint32_t number = image.stores.at(0).compression_algorithm;
  return fmt::format("{}, the header's number {} claims {}", ffu::to_string(image.form), number,
                     claimed_compression(number));
}

std::string phases_text(const ffu::PhaseTables& phases) {
  const auto range = [](std::uint32_t index, std::uint32_t count) {
    return count == 0 ? std::string("none") : fmt::format("{} from write {}", count, index);
  };
  return fmt::format("initial {}; flash-only {}; final {} (hints)", range(phases.initial_index, phases.initial_count),
                     range(phases.flash_only_index, phases.flash_only_count),
                     range(phases.final_index, phases.final_count));
}

std::string target_text(const ffu::DeviceTarget& target) {
  std::string out;
  const std::pair<const char*, const std::string*> fields[] = {{"manufacturer", &target.manufacturer},
                                                               {"family", &target.family},
                                                               {"product", &target.product_name},
                                                               {"version", &target.product_version},
                                                               {"SKU", &target.sku_number},
                                                               {"board manufacturer", &target.baseboard_manufacturer},
                                                               {"board", &target.baseboard_product}};
  for (const auto& [name, value] : fields) {
    if (!value->empty()) out += fmt::format("{}{} {}", out.empty() ? "" : ", ", name, *value);
  }
  return out.empty() ? "any device" : core::printable(out);
}

json::object phases_json(const ffu::PhaseTables& phases) {
  return {{"initial", {{"index", phases.initial_index}, {"count", phases.initial_count}}},
          {"flash_only", {{"index", phases.flash_only_index}, {"count", phases.flash_only_count}}},
          {"final", {{"index", phases.final_index}, {"count", phases.final_count}}}};
}

void add_manifest(const ffu::ManifestStore& manifest, json::object& out) {
  out["sector_size"] = manifest.sector_size;
  out["min_sector_count"] = manifest.min_sector_count;
  out["min_disk_bytes"] = manifest.min_disk_bytes();
  json::array partitions;
  for (const ffu::ManifestPartition& partition : manifest.partitions) {
    partitions.push_back(json::object{{"name", core::printable(partition.name)},
                                      {"type", core::printable(partition.type)},
                                      {"id", core::printable(partition.id)},
                                      {"file_system", core::printable(partition.file_system)},
                                      {"total_sectors", partition.total_sectors},
                                      {"used_sectors", partition.used_sectors},
                                      {"use_all_space", partition.use_all_space}});
  }
  out["partitions"] = std::move(partitions);
}

json::object store_json(const ffu::Image& image, std::size_t index) {
  const ffu::Store& store = image.stores[index];
  const WriteFigures figures = figures_of(image, index);
  json::object out{{"index", index},
                   {"version", fmt::format("{}.{}/{}.{}", store.major_version, store.minor_version,
                                           store.full_flash_major, store.full_flash_minor)},
                   {"update_type", store.update_type == ffu::UpdateType::partial ? "partial" : "full"},
                   {"validation_entries", store.validation.size()},
                   {"platform_ids", to_json(store.platform_ids)},
                   {"device_path", core::printable(store.device_path)},
                   {"block_size", store.block_size},
                   {"write_descriptors", store.descriptors.size()},
                   {"payload_bytes", figures.plain_bytes},
                   {"stored_bytes", store.stored_size},
                   {"compression", image.is_compressed() ? claimed_compression(store.compression_algorithm) : "none"},
                   {"writes_to_several_places", figures.to_several_places},
                   {"writes_from_disk_end", figures.from_disk_end},
                   {"phases", phases_json(store.phases)}};
  if (figures.described_bytes) {
    out["described_bytes"] = *figures.described_bytes;
    out["overwritten_bytes"] = figures.written_bytes - *figures.described_bytes;
  }
  if (figures.beyond_disk) out["error"] = json::parse(error_json(*figures.beyond_disk));
  if (index < image.manifest.stores.size()) add_manifest(image.manifest.stores[index], out);
  return out;
}

// What the catalog says, with no signature checked.
struct CatalogFacts {
  trust::Decision table;  // under policy none: is the hash table the one that the catalog has the digest of?
  std::optional<trust::Certificate> signer;
};

json::object image_json(const FfuInfoOptions& options, const ffu::Image& image, const CatalogFacts& catalog) {
  json::array stores;
  for (std::size_t i = 0; i < image.stores.size(); ++i) stores.push_back(store_json(image, i));
  json::array targets;
  for (const ffu::DeviceTarget& target : image.targets) {
    targets.push_back(json::object{{"manufacturer", core::printable(target.manufacturer)},
                                   {"family", core::printable(target.family)},
                                   {"product_name", core::printable(target.product_name)},
                                   {"product_version", core::printable(target.product_version)},
                                   {"sku_number", core::printable(target.sku_number)},
                                   {"baseboard_manufacturer", core::printable(target.baseboard_manufacturer)},
                                   {"baseboard_product", core::printable(target.baseboard_product)}});
  }
  return {{"file", name_of(options.file)},
          {"form", ffu::to_string(image.form)},
          {"size", image.file_size},
          {"chunk_size", image.chunk_size},
          {"hashed_units", ffu::hashed_units(image)},
          {"partial_update", image.is_partial_update()},
          {"platform_ids", to_json(image.platform_ids())},
          {"device_targets", std::move(targets)},
          {"description", core::printable(image.manifest.description)},
          {"os_version", core::printable(image.manifest.os_version)},
          {"manifest_version", core::printable(image.manifest.version)},
          {"catalog_bytes", image.catalog.size()},
          {"table_digest", catalog.table.table_digest},
          {"table_digest_good", catalog.table.accepted},
          {"signature_checked", false},
          {"signer", to_json(catalog.signer)},
          {"stores", std::move(stores)}};
}

void print_fact(std::string_view name, std::string_view value) {
  print_line(fmt::format("{:<18} {}", name, core::printable(value)));
}

std::string share(std::uint64_t part, std::uint64_t whole) {
  return whole == 0 ? "-" : fmt::format("{:.1f} %", 100.0 * static_cast<double>(part) / static_cast<double>(whole));
}

void print_partitions(const ffu::ManifestStore& manifest) {
  std::size_t number = 0;
  for (const ffu::ManifestPartition& partition : manifest.partitions) {
    ++number;
    const std::string size = partition.use_all_space
                                 ? std::string("all the rest")
                                 : core::format_mib(times(partition.total_sectors, manifest.sector_size));
    std::string used;
    if (!partition.use_all_space && partition.used_sectors != 0)
      used = fmt::format(", {} used", core::format_mib(times(partition.used_sectors, manifest.sector_size)));
    print_fact(fmt::format("  Partition {}", number),
               fmt::format("{:<14} {:<6} {:>14}{}", partition.name,
                           partition.file_system.empty() ? "raw" : partition.file_system, size, used));
  }
}

void print_writes(const ffu::Image& image, std::size_t index) {
  const ffu::Store& store = image.stores[index];
  const WriteFigures figures = figures_of(image, index);
  std::string payload = fmt::format("{} in {} writes of {} KiB blocks", core::format_mib(figures.plain_bytes),
                                    store.descriptors.size(), store.block_size / 1024);
  payload += image.is_compressed() ? fmt::format(", stored as {} ({})", core::format_mib(store.stored_size),
                                                 share(store.stored_size, figures.plain_bytes))
                                   : std::string(", not compressed");
  print_fact("  Payload", payload);
  if (figures.described_bytes) {
    const std::uint64_t disk = image.manifest.stores[index].min_disk_bytes();
    print_fact("  Described",
               fmt::format("{} of the smallest disk ({}); {} are written more than once",
                           core::format_mib(*figures.described_bytes), share(*figures.described_bytes, disk),
                           core::format_mib(figures.written_bytes - *figures.described_bytes)));
  }
  if (figures.beyond_disk) print_fact("  WARNING", figures.beyond_disk->message());
  print_fact("  Special writes", fmt::format("{} to several places, {} counted from the disk's end",
                                             figures.to_several_places, figures.from_disk_end));
  print_fact("  Phases", phases_text(store.phases));
}

void print_store(const ffu::Image& image, std::size_t index) {
  const ffu::Store& store = image.stores[index];
  print_line(fmt::format("Store {}", index));
  if (!store.device_path.empty()) print_fact("  Device path", store.device_path);
  const bool in_manifest = index < image.manifest.stores.size();
  if (in_manifest && image.manifest.stores[index].min_sector_count != 0) {
    const ffu::ManifestStore& manifest = image.manifest.stores[index];
    print_fact("  Smallest disk",
               fmt::format("{} ({} sectors of {} bytes)", core::format_mib(manifest.min_disk_bytes()),
                           manifest.min_sector_count, manifest.sector_size));
  } else {
    print_fact("  Smallest disk", "not named by the image");
  }
  print_writes(image, index);
  if (in_manifest) print_partitions(image.manifest.stores[index]);
}

std::string update_text(const ffu::Image& image) {
  if (!image.is_partial_update()) return "full";
  std::size_t entries = 0;
  for (const ffu::Store& store : image.stores) entries += store.validation.size();
  return fmt::format(
      "PARTIAL: for devices that hold another version already; validation entries for what has to be on "
      "the disk: {}",
      entries);
}

void print_image(const FfuInfoOptions& options, const ffu::Image& image, const CatalogFacts& catalog) {
  print_fact("Image", options.file.native());
  print_fact("Form", form_text(image));
  print_fact("Update", update_text(image));
  print_fact("Size on the wire", fmt::format("{} ({} bytes)", core::format_mib(image.file_size), image.file_size));
  const std::uint64_t chunks = ffu::chunk_units(image);
  const std::uint64_t units = ffu::hashed_units(image);
  print_fact("Hashed", image.is_compressed() ? fmt::format("{} chunks of {} KiB and {} blocks, decompressed", chunks,
                                                           image.chunk_size / 1024, units - chunks)
                                             : fmt::format("{} chunks of {} KiB", units, image.chunk_size / 1024));
  if (!image.manifest.description.empty()) print_fact("Description", image.manifest.description);
  if (!image.manifest.os_version.empty()) print_fact("OS version", image.manifest.os_version);
  for (const std::string& id : image.platform_ids()) print_fact("Platform id", id);
  for (const ffu::DeviceTarget& target : image.targets) print_fact("Device target", target_text(target));
  print_fact("Signer", catalog.signer ? catalog.signer->subject + " (named, not judged: imprint ffu verify does)"
                                      : std::string("none, or none that can be read"));
  const std::string& digest = catalog.table.table_digest;
  print_fact("Table digest", digest.empty() ? "none that can be read" : digest);
  if (!catalog.table.accepted) {
    print_fact("WARNING", "the catalog does not vouch for the hash table: " + catalog.table.refusal().message());
  }
  for (std::size_t i = 0; i < image.stores.size(); ++i) print_store(image, i);
}

}  // namespace

ExitStatus ffu_info(const FfuInfoOptions& options) {
  const auto file = open_ffu(options.file);
  if (!file) return report_error(file.error(), options.json);
  const ffu::Image& image = file->image();
  const CatalogFacts catalog{
      trust::decide(image, trust::Policy::none, trust::TrustStore::empty(), core::SystemClock().now()),
      trust::named_signer(image.catalog)};
  if (options.json) {
    print_line(json::serialize(image_json(options, image, catalog)));
  } else {
    print_image(options, image, catalog);
  }
  return ExitStatus::good;
}

}  // namespace imprint::station::cli
