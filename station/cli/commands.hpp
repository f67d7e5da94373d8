// SPDX-License-Identifier: GPL-3.0-or-later
// The commands of `imprint`, free of how the command line is parsed.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "station/cli/console.hpp"

namespace imprint::station::cli {

struct FfuInfoOptions {
  std::filesystem::path file;
  bool json = false;
};
ExitStatus ffu_info(const FfuInfoOptions& options);

struct FfuVerifyOptions {
  std::filesystem::path file;
  std::string policy = "retail";
  std::filesystem::path trust = "/etc/imprint/trust";
  bool json = false;
};
ExitStatus ffu_verify(const FfuVerifyOptions& options);

struct FfuExtractOptions {
  std::filesystem::path file;
  std::filesystem::path out;
  std::size_t store = 0;
  std::optional<std::uint64_t> size;  // bytes
  bool json = false;
};
ExitStatus ffu_extract(const FfuExtractOptions& options);

struct FfuCreateOptions {
  std::filesystem::path disk;
  std::filesystem::path out;
  std::vector<std::string> platform_ids;
  std::string form = "v1";                        // or "v2"; "v1" with a compression is V1 compressed
  std::vector<std::filesystem::path> stores;      // V2: more disks, a store each behind the first one's
  std::vector<std::string> device_paths;          // V2: of the first store and then of the others
  std::vector<std::vector<std::string>> targets;  // each of "key=text"
  std::string compress = "none";
  std::uint32_t block_size = 131072;         // bytes
  std::optional<std::uint32_t> sector_size;  // bytes
  bool json = false;
};
ExitStatus ffu_create(const FfuCreateOptions& options);

struct FfuConvertOptions {
  std::filesystem::path in;
  std::filesystem::path out;
  std::string compress = "none";
  bool reorder = false;
  bool json = false;
};
ExitStatus ffu_convert(const FfuConvertOptions& options);

struct FfuDiffOptions {
  std::filesystem::path a;
  std::filesystem::path b;
  bool json = false;
};
ExitStatus ffu_diff(const FfuDiffOptions& options);

struct FfuCatalogOptions {
  std::filesystem::path file;
  std::filesystem::path out;
  std::optional<std::filesystem::path> timestamp_request;
  bool json = false;
};
ExitStatus ffu_catalog(const FfuCatalogOptions& options);

struct FfuSignOptions {
  std::filesystem::path file;
  std::optional<std::filesystem::path> certificate;
  std::optional<std::string> key;  // a PEM file or a pkcs11 URI
  std::optional<std::filesystem::path> pkcs12;
  std::optional<std::filesystem::path> catalog;
  std::optional<std::filesystem::path> timestamp;
  std::optional<std::filesystem::path> passphrase_file;
  std::optional<std::string> digest;  // "sha1" or "sha256"
  bool json = false;
};
ExitStatus ffu_sign(const FfuSignOptions& options);

struct InspectOptions {
  std::filesystem::path source;
  bool json = false;
};
ExitStatus inspect_layout_command(const InspectOptions& options, const std::filesystem::path& layout,
                                  const std::optional<std::filesystem::path>& platform);
ExitStatus inspect_bcd_command(const InspectOptions& options);
ExitStatus inspect_recovery_command(const InspectOptions& options, const std::string& profile);

// Of the station at `socket`, unless a file is named.
struct ReportOptions {
  std::filesystem::path database;
  std::filesystem::path socket;
  std::vector<std::filesystem::path> config;  // of the station that a file is of, for its id, zone and shifts
  std::string station;                        // its id, where the configuration does not say it
  std::optional<std::string> from;            // ISO 8601
  std::optional<std::string> to;
  std::string shift;
  std::string date;
  std::string by;
  std::string format = "table";
};
ExitStatus report_yield(const ReportOptions& options);
ExitStatus report_units(const ReportOptions& options);
ExitStatus report_failures(const ReportOptions& options);
ExitStatus report_slots(const ReportOptions& options);
ExitStatus report_shift(const ReportOptions& options);

ExitStatus list_errors(bool json);

struct DemoOptions {
  std::filesystem::path workspace;
  std::filesystem::path out = "demo-out";
};
ExitStatus run_demo(const DemoOptions& options);

}  // namespace imprint::station::cli
