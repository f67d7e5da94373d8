// SPDX-License-Identifier: GPL-3.0-or-later
// imprint ffu info, verify and extract.
#include <fmt/format.h>

#include <boost/json.hpp>

#include "flash/core/text.hpp"
#include "flash/engine/verified_image.hpp"
#include "flash/ffu/chunk_verifier.hpp"
#include "flash/ffu/disk_map.hpp"
#include "flash/ffu/extract.hpp"
#include "flash/trust/policy.hpp"
#include "station/cli/commands.hpp"
#include "station/errors.hpp"

namespace imprint::station::cli {
namespace {

namespace json = boost::json;

json::array to_array(const std::vector<std::string>& texts) {
  json::array out;
  for (const std::string& text : texts) out.emplace_back(text);
  return out;
}

json::value to_json(const std::optional<trust::Certificate>& certificate) {
  if (!certificate) return nullptr;
  return json::object{{"subject", certificate->subject}, {"sha256", certificate->sha256}};
}

core::Result<ffu::OpenedImage> open(const std::filesystem::path& path, std::unique_ptr<core::FileSource>& file) {
  IMPRINT_TRY(file, core::FileSource::open(path));
  auto opened = ffu::open_image(*file);
  if (!opened) {
    auto error = std::move(opened).error();
    error.add_context("file", path.native());
    return std::unexpected(std::move(error));
  }
  return opened;
}

json::object store_json(const ffu::Image& image, std::size_t index) {
  const ffu::Store& store = image.stores[index];
  json::object out{{"index", index},
                   {"version", fmt::format("{}.{}/{}.{}", store.major_version, store.minor_version,
                                           store.full_flash_major, store.full_flash_minor)},
                   {"platform_ids", to_array(store.platform_ids)},
                   {"device_path", store.device_path},
                   {"block_size", store.block_size},
                   {"write_descriptors", store.descriptors.size()},
                   {"payload_bytes", store.payload_size},
                   {"compression", "none"}};
  if (index < image.manifest.stores.size()) {
    const ffu::ManifestStore& manifest = image.manifest.stores[index];
    out["sector_size"] = manifest.sector_size;
    out["min_sector_count"] = manifest.min_sector_count;
    out["min_disk_bytes"] = manifest.min_disk_bytes();
    json::array partitions;
    for (const ffu::ManifestPartition& partition : manifest.partitions) {
      partitions.push_back(json::object{{"name", partition.name},
                                        {"type", partition.type},
                                        {"id", partition.id},
                                        {"file_system", partition.file_system},
                                        {"total_sectors", partition.total_sectors},
                                        {"used_sectors", partition.used_sectors},
                                        {"use_all_space", partition.use_all_space}});
    }
    out["partitions"] = std::move(partitions);
  }
  return out;
}

void print_store(const ffu::Image& image, std::size_t index) {
  const ffu::Store& store = image.stores[index];
  print_line(fmt::format("Store {}", index));
  if (!store.device_path.empty()) print_line(fmt::format("  Device path       {}", store.device_path));
  print_line(fmt::format("  Payload           {} in {} writes of {} KiB blocks, not compressed",
                         core::format_mib(store.payload_size), store.descriptors.size(), store.block_size / 1024));
  if (index >= image.manifest.stores.size()) return;
  const ffu::ManifestStore& manifest = image.manifest.stores[index];
  print_line(fmt::format("  Smallest disk     {} ({} sectors of {} bytes)", core::format_mib(manifest.min_disk_bytes()),
                         manifest.min_sector_count, manifest.sector_size));
  for (const ffu::ManifestPartition& partition : manifest.partitions) {
    const std::string size = partition.use_all_space ? std::string("all the rest")
                                                     : core::format_mib(partition.total_sectors * manifest.sector_size);
    print_line(fmt::format("  Partition         {:<12} {:<6} {:>14}", partition.name,
                           partition.file_system.empty() ? "raw" : partition.file_system, size));
  }
}

void print_decision(const trust::Decision& decision) {
  for (const trust::Reason& reason : decision.reasons) {
    print_line(fmt::format("  {} {}{}", reason.good ? "ok  " : "FAIL", reason.text,
                           reason.good ? "" : " (" + reason.id + ")"));
  }
}

json::object decision_json(const trust::Decision& decision) {
  json::array reasons;
  for (const trust::Reason& reason : decision.reasons) {
    reasons.push_back(json::object{{"good", reason.good}, {"id", reason.id}, {"text", reason.text}});
  }
  return {{"accepted", decision.accepted},         {"policy", trust::to_string(decision.policy)},
          {"signer", to_json(decision.signer)},    {"root", to_json(decision.root)},
          {"table_digest", decision.table_digest}, {"reasons", std::move(reasons)}};
}

}  // namespace

ExitStatus ffu_info(const FfuInfoOptions& options) {
  std::unique_ptr<core::FileSource> file;
  auto opened = open(options.file, file);
  if (!opened) return report_error(opened.error(), options.json);
  const ffu::Image& image = opened->image;
  // Only to name the signer: with no trust at all, nothing is accepted here.
  const trust::Decision decision =
      trust::decide(image, trust::Policy::retail, trust::TrustStore::empty(), core::SystemClock().now());
  if (options.json) {
    json::array stores;
    for (std::size_t i = 0; i < image.stores.size(); ++i) stores.push_back(store_json(image, i));
    print_line(json::serialize(json::object{{"file", core::printable(options.file.native())},
                                            {"size", image.file_size},
                                            {"chunk_size", image.chunk_size},
                                            {"chunks", image.chunk_count()},
                                            {"platform_ids", to_array(image.platform_ids())},
                                            {"description", image.manifest.description},
                                            {"os_version", image.manifest.os_version},
                                            {"manifest_version", image.manifest.version},
                                            {"catalog_bytes", image.catalog.size()},
                                            {"table_digest", decision.table_digest},
                                            {"signer", to_json(decision.signer)},
                                            {"stores", std::move(stores)}}));
    return ExitStatus::good;
  }
  print_line(fmt::format("Image               {}", core::printable(options.file.native())));
  print_line(fmt::format("Size on the wire    {} ({} bytes), {} chunks of {} KiB", core::format_mib(image.file_size),
                         image.file_size, image.chunk_count(), image.chunk_size / 1024));
  for (const std::string& id : image.platform_ids()) print_line(fmt::format("Platform            {}", id));
  if (!image.manifest.description.empty())
    print_line(fmt::format("Description         {}", image.manifest.description));
  if (!image.manifest.os_version.empty()) print_line(fmt::format("OS version          {}", image.manifest.os_version));
  print_line(fmt::format("Signer              {} (not checked here: imprint ffu verify does)",
                         decision.signer ? decision.signer->subject : "none, the catalog is not signed"));
  for (std::size_t i = 0; i < image.stores.size(); ++i) print_store(image, i);
  return ExitStatus::good;
}

ExitStatus ffu_verify(const FfuVerifyOptions& options) {
  const auto policy = trust::parse_policy(options.policy).value_or(trust::Policy::retail);
  auto trust_store = trust::TrustStore::empty();
  if (policy != trust::Policy::none) {
    auto loaded = trust::TrustStore::load(options.trust);
    if (!loaded) return report_error(loaded.error(), options.json);
    trust_store = std::move(*loaded);
  }
  std::unique_ptr<core::FileSource> file;
  auto opened = open(options.file, file);
  if (!opened) return report_error(opened.error(), options.json);
  const trust::Decision decision = trust::decide(opened->image, policy, trust_store, core::SystemClock().now());
  Progress progress("Hashing", options.json);
  const auto chunks = ffu::verify_chunks(
      *opened, *file, 0, [&](std::uint64_t done, std::uint64_t total) { progress.update(done, total); });
  const bool good = decision.accepted && chunks.has_value();
  if (options.json) {
    json::object out{{"file", core::printable(options.file.native())},
                     {"verdict", good ? "pass" : "fail"},
                     {"signature_checked", policy != trust::Policy::none},
                     {"decision", decision_json(decision)},
                     {"chunks", opened->image.chunk_count()}};
    if (!chunks) out["error"] = json::parse(error_json(chunks.error()));
    print_line(json::serialize(out));
  } else {
    print_line(fmt::format("Image     {}", core::printable(options.file.native())));
    print_line(fmt::format("Policy    {}", trust::to_string(policy)));
    if (policy == trust::Policy::none)
      print_line("WARNING   NO SIGNATURE WAS CHECKED: policy none looks at structure and hashes only");
    print_decision(decision);
    if (chunks)
      print_line(fmt::format("  ok   all {} chunks have the hash that the table says", opened->image.chunk_count()));
    print_line(good ? "Verdict   PASS" : "Verdict   FAIL");
  }
  if (!chunks) {
    if (!options.json) return report_error(chunks.error(), false);
    return exit_status(chunks.error());
  }
  if (!decision.accepted) {
    if (!options.json) static_cast<void>(report_error(decision.refusal(), false));
    return ExitStatus::not_good;
  }
  return ExitStatus::good;
}

ExitStatus ffu_extract(const FfuExtractOptions& options) {
  const auto extract = [&]() -> core::Result<std::uint64_t> {
    if (options.size && *options.size > static_cast<std::uint64_t>(INT64_MAX)) {
      return fail("usage.invalid", "--size is larger than any file").with("actual", *options.size);
    }
    IMPRINT_TRY(std::shared_ptr<const core::BlockSource> file, core::FileSource::open(options.file));
    // Read through the verified image: no byte that fails its hash gets into the disk.
    IMPRINT_TRY(auto image, engine::VerifiedImage::open(std::move(file)));
    IMPRINT_TRY(const auto size, ffu::disk_bytes_for(image->image(), options.store, options.size));
    IMPRINT_TRY(auto map, ffu::DiskMap::build(image->image().stores[options.store], size));
    const ffu::DescribedDisk disk(std::move(map), image->as_source());
    Progress progress("Extracting", options.json);
    IMPRINT_CHECK(ffu::extract_disk(disk, options.out,
                                    [&](std::uint64_t done, std::uint64_t total) { progress.update(done, total); }));
    return size;
  };
  const auto size = extract();
  if (!size) return report_error(size.error(), options.json);
  if (options.json) {
    print_line(json::serialize(json::object{{"file", core::printable(options.file.native())},
                                            {"out", core::printable(options.out.native())},
                                            {"disk_bytes", *size}}));
  } else {
    print_line(fmt::format(
        "Extracted {} as a disk of {} to {}; every chunk had its hash, the signature was not looked at",
        core::printable(options.file.native()), core::format_mib(*size), core::printable(options.out.native())));
  }
  return ExitStatus::good;
}

}  // namespace imprint::station::cli
