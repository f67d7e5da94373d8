// SPDX-License-Identifier: GPL-3.0-or-later
// What the ffu commands share: images opened and written by name, checks before long work, and unsigned catalogs that
// are the same whenever they are made.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "flash/core/block_io.hpp"
#include "flash/core/clock.hpp"
#include "flash/core/result.hpp"
#include "flash/ffu/image.hpp"
#include "flash/ffu/writer.hpp"
#include "flash/trust/catalog.hpp"
#include "flash/trust/policy.hpp"

namespace imprint::station::cli {

struct FfuFile {
  std::shared_ptr<const core::BlockSource> file;
  std::shared_ptr<const ffu::OpenedImage> opened;
  [[nodiscard]] const ffu::Image& image() const { return opened->image; }
};
// Errors name the file.
[[nodiscard]] core::Result<FfuFile> open_ffu(const std::filesystem::path& path);

// The catalog vouches for the hash table, whoever signed it: what has to hold before anything is made of an image.
[[nodiscard]] core::Status check_catalog(const ffu::Image& image);
// Both; errors name the file.
[[nodiscard]] core::Result<FfuFile> open_checked_ffu(const std::filesystem::path& path);

// Before long work: `out` is none of the files that are read (`usage.invalid`), its folder is there, and it is free or
// a file.
[[nodiscard]] core::Status check_output(const std::filesystem::path& out,
                                        const std::vector<std::filesystem::path>& inputs);
// Makes unsigned catalogs. Their time is SOURCE_DATE_EPOCH where that is set; otherwise it is 2000-01-01, since an
// image of the same content has to be the same bytes, and nothing that checks a catalog looks at the time in it: when
// an image was signed is in its signature. `usage.invalid` when the variable is not a number of seconds.
[[nodiscard]] core::Result<ffu::CatalogMaker> unsigned_catalogs(
    trust::DigestAlgorithm digest = trust::DigestAlgorithm::sha1);

struct WrittenFfu {
  std::uint64_t size = 0;             // bytes
  std::vector<std::string> warnings;  // what was not kept of the access of the file that had the name
};
// The image that is asked for under `out`, with progress unless `quiet`. Chunks become as small as the smallest block
// where a reader could not tell otherwise where the payload begins. A file that has the name is replaced, and who may
// do what with it stays.
[[nodiscard]] core::Result<WrittenFfu> write_ffu(ffu::WriteRequest& request, const std::filesystem::path& out,
                                                 bool quiet);
void print_warnings(const std::vector<std::string>& warnings);
// For commands that check hashes and leave signatures to verify.
void say_not_checked(const std::filesystem::path& file);
// What has to be done next with an image that was made.
void say_unsigned(const std::filesystem::path& out);

// By the names that the command line takes.
[[nodiscard]] ffu::Compression compression_of(const std::string& name);
// "none" is V1, everything else V1 compressed.
[[nodiscard]] ffu::Form form_for(ffu::Compression compression);
// What the header's number for the compression claims; tools do not agree on all of them.
[[nodiscard]] std::string claimed_compression(std::uint32_t algorithm);
// "V1", or "V1 compressed (xpress)".
[[nodiscard]] std::string describe_form(ffu::Form form, ffu::Compression compression);

}  // namespace imprint::station::cli
