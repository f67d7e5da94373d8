// SPDX-License-Identifier: GPL-3.0-or-later
// Opening and writing images for the ffu commands.
#include "station/cli/ffu_file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <system_error>

#include "flash/core/atomic_file.hpp"
#include "flash/core/errors.hpp"
#include "flash/core/text.hpp"
#include "flash/trust/signing.hpp"
#include "station/cli/console.hpp"
#include "station/cli/ffu_json.hpp"
#include "station/cli/replacing_file.hpp"
#include "station/errors.hpp"

namespace imprint::station::cli {

namespace fs = std::filesystem;

namespace {

constexpr std::int64_t kFixedTime = 946684800;              // 2000-01-01T00:00:00Z
constexpr std::uint64_t kLastEncodableTime = 253402300799;  // 9999-12-31T23:59:59Z

}  // namespace

core::Result<FfuFile> open_ffu(const fs::path& path) {
  IMPRINT_TRY(std::shared_ptr<const core::BlockSource> file, core::FileSource::open(path));
  auto opened = ffu::open_image(*file);
  if (!opened) {
    opened.error().add_context("file", path.native());
    return std::unexpected(std::move(opened).error());
  }
  return FfuFile{std::move(file), std::make_shared<const ffu::OpenedImage>(std::move(*opened))};
}

core::Status check_catalog(const ffu::Image& image) {
  const auto decision =
      trust::decide(image, trust::Policy::none, trust::TrustStore::empty(), core::SystemClock().now());
  if (decision.accepted) return {};
  return std::unexpected(decision.refusal());
}

core::Result<FfuFile> open_checked_ffu(const fs::path& path) {
  IMPRINT_TRY(auto file, open_ffu(path));
  if (auto status = check_catalog(file.image()); !status) {
    status.error().add_context("file", path.native());
    return std::unexpected(std::move(status).error());
  }
  return file;
}

core::Status check_output(const fs::path& out, const std::vector<fs::path>& inputs) {
  std::error_code error;
  for (const fs::path& input : inputs) {
    if (fs::equivalent(out, input, error) && !error)
      return fail("usage.invalid", "the output is a file that is read").with("file", out.native());
  }
  const fs::path folder = out.has_parent_path() ? out.parent_path() : fs::path(".");
  if (!fs::is_directory(folder, error))
    return core::fail("io.not-found", "the folder of the output").with("folder", folder.native());
  return core::AtomicFile(out).check_target();
}

core::Result<ffu::CatalogMaker> unsigned_catalogs(trust::DigestAlgorithm digest) {
  std::int64_t seconds = kFixedTime;
  if (const char* epoch = std::getenv("SOURCE_DATE_EPOCH"); epoch != nullptr) {  // NOLINT(concurrency-mt-unsafe)
    const auto number = core::parse_number(epoch);
    if (!number || *number > kLastEncodableTime)
      return fail("usage.invalid", "SOURCE_DATE_EPOCH is not a number of seconds").with("actual", epoch);
    seconds = static_cast<std::int64_t>(*number);
  }
  const core::UtcTime made{std::chrono::seconds(seconds)};
  return ffu::CatalogMaker([made, digest](core::ByteView table) { return trust::build_catalog(table, made, digest); });
}

core::Result<WrittenFfu> write_ffu(ffu::WriteRequest& request, const fs::path& out, bool quiet) {
  IMPRINT_TRY(const auto file, ReplacingFile::make(out));
  for (;;) {
    Progress progress("Writing", quiet);
    request.progress = [&](std::uint64_t done, std::uint64_t total) { progress.update(done, total); };
    IMPRINT_TRY(const auto sink, file->open(0));
    const auto size = ffu::write_image(request, *sink);
    if (size) {
      IMPRINT_TRY(auto warnings, file->commit());
      return WrittenFfu{*size, std::move(warnings)};
    }
    // Zeros at the end of the payload and blocks smaller than a chunk. Where chunks are as small as blocks, there is
    // only one place where the payload can begin.
    std::uint32_t smallest = request.chunk_size;
    for (const ffu::StoreToWrite& store : request.stores) smallest = std::min(smallest, store.store.block_size);
    if (size.error().id() != "ffu.padding-ambiguous" || smallest == request.chunk_size)
      return std::unexpected(size.error());
    request.chunk_size = smallest;
  }
}

void print_warnings(const std::vector<std::string>& warnings) {
  for (const std::string& warning : warnings) print_line(fmt::format("WARNING      {}", warning));
}

void say_not_checked(const fs::path& file) {
  print_line(fmt::format("No signature was checked: who signed {} is for imprint ffu verify to say", name_of(file)));
}

void say_unsigned(const fs::path& out) {
  print_line(fmt::format("It is not signed yet: imprint ffu sign {} --cert CERT --key KEY", name_of(out)));
}

// Parsed by the command line already, which takes no other names.
ffu::Compression compression_of(const std::string& name) {
  return ffu::parse_compression(name).value_or(ffu::Compression::none);
}

ffu::Form form_for(ffu::Compression compression) {
  return compression == ffu::Compression::none ? ffu::Form::v1 : ffu::Form::v1_compressed;
}

std::string claimed_compression(std::uint32_t algorithm) {
  switch (algorithm) {
    case 0:
      return "none";
    case 1:
      return "default";
    case 2:
      return "lznt1";
    case 3:
      return "xpress";
    case 4:
      return "xpress-huffman";
    default:
      return fmt::format("unknown ({})", algorithm);
  }
}

std::string describe_form(ffu::Form form, ffu::Compression compression) {
  if (form != ffu::Form::v1_compressed) return std::string(ffu::to_string(form));
  return fmt::format("{} ({})", ffu::to_string(form), ffu::to_string(compression));
}

}  // namespace imprint::station::cli
