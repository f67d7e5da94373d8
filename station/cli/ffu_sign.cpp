// SPDX-License-Identifier: GPL-3.0-or-later
// imprint ffu sign and catalog: signatures by keys of ours, and by signers outside.
#include <fmt/format.h>
#include <unistd.h>
#include <boost/json.hpp>

#include <algorithm>
#include <cerrno>

#include "flash/core/atomic_file.hpp"
#include "flash/core/errors.hpp"
#include "flash/core/text.hpp"
#include "flash/ffu/verify.hpp"
#include "flash/ffu/writer.hpp"
#include "flash/trust/named_signer.hpp"
#include "flash/trust/pkcs11_uri.hpp"
#include "flash/trust/signing.hpp"
#include "flash/trust/timestamp.hpp"
#include "station/cli/commands.hpp"
#include "station/cli/ffu_file.hpp"
#include "station/cli/ffu_json.hpp"
#include "station/cli/private_file.hpp"
#include "station/cli/signing_key.hpp"
#include "station/cli/stop_on_signal.hpp"
#include "station/errors.hpp"

namespace imprint::station::cli {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

core::Status check_usage(const FfuSignOptions& options) {
  const bool with_key = options.key || options.pkcs12;
  const int sources = (options.key ? 1 : 0) + (options.pkcs12 ? 1 : 0) + (options.catalog ? 1 : 0);
  if (sources > 1) return fail("usage.invalid", "only one of --key, --p12 and --catalog can be given");
  if (options.certificate && !options.key) return fail("usage.invalid", "--cert needs --key");
  if (sources == 0 && !options.timestamp) {
    return fail("usage.invalid",
                "nothing to sign with: give --cert and --key, --p12, --catalog, or --timestamp for the signature that "
                "is there");
  }
  if (options.key && !options.certificate && !trust::is_pkcs11_uri(*options.key))
    return fail("usage.invalid", "--key needs --cert; only a pkcs11 URI does without");
  if (options.timestamp && with_key) {
    return fail("usage.invalid",
                fmt::format("a timestamp is of a signature that is there already. First sign {0} without --timestamp; "
                            "then: imprint ffu catalog {0} CATALOG --timestamp-request REQUEST, send REQUEST to the "
                            "authority, and: imprint ffu sign {0} --timestamp ANSWER",
                            name_of(options.file)));
  }
  if (options.passphrase_file && !with_key) return fail("usage.invalid", "--passphrase-file needs --key or --p12");
  if (options.digest && !with_key) return fail("usage.invalid", "--digest needs --key or --p12");
  return {};
}

core::Result<core::ByteBuffer> read_small(const fs::path& path) {
  IMPRINT_TRY(const std::string text, core::read_text_file(path));
  const core::ByteView bytes = core::as_bytes(text);
  return core::ByteBuffer(bytes.begin(), bytes.end());
}

// Named when it is the catalog's file that is at fault, not the image.
core::Failure about(core::Error error, const fs::path& path) {
  error.add_context("file", path.native());
  return core::Failure(std::move(error));
}

// The catalog that the image gets; `signer` where one of ours signs.
core::Result<core::ByteBuffer> make_catalog(const FfuSignOptions& options, const ffu::Image& image,
                                            const std::optional<trust::Signer>& signer) {
  core::ByteBuffer catalog = image.catalog;
  if (options.catalog) {
    IMPRINT_TRY(catalog, read_small(*options.catalog));
    if (auto status = trust::check_outside_catalog(catalog, image.hash_table); !status)
      return about(std::move(status).error(), *options.catalog);
  }
  if (signer) {
    // Devices and tools that check one digest need not know the other: the image keeps the one that it has.
    IMPRINT_TRY(const auto old, trust::read_catalog(image.catalog));
    trust::DigestAlgorithm digest = old.algorithm;
    if (options.digest)
      digest = *options.digest == "sha256" ? trust::DigestAlgorithm::sha256 : trust::DigestAlgorithm::sha1;
    IMPRINT_TRY(const auto maker, unsigned_catalogs(digest));
    IMPRINT_TRY(const auto without, maker(image.hash_table));
    IMPRINT_TRY(catalog, signer->sign(without, core::SystemClock().now()));
  }
  if (options.timestamp) {
    IMPRINT_TRY(const auto token, read_small(*options.timestamp));
    auto stamped = trust::add_timestamp(catalog, token);
    if (!stamped) return about(std::move(stamped).error(), *options.timestamp);
    catalog = std::move(*stamped);
  }
  // Zeros behind it count for nothing: an image has padding of its own.
  IMPRINT_TRY(const auto content, trust::read_catalog(catalog));
  return core::ByteBuffer(content.encoded.begin(), content.encoded.end());
}

// Nothing is signed with a certificate that every verify would refuse for what it is. What depends on the trust
// directory is a warning.
core::Result<std::vector<std::string>> check_certificate(const trust::Signer& signer) {
  std::vector<std::string> warnings;
  for (const trust::Reason& reason : signer.warnings(core::SystemClock().now())) {
    if (!reason.good) {
      trust::Decision refused;
      refused.reasons.push_back(reason);
      return std::unexpected(refused.refusal());
    }
    warnings.push_back(fmt::format("{} ({})", reason.text, reason.id));
  }
  return warnings;
}

struct Signed {
  std::uint64_t old_size = 0;
  std::uint64_t size = 0;
  std::uint32_t chunk_size = 0;
  std::int64_t moved_chunks = 0;
  std::string signer;
  std::string table_digest;
  std::vector<std::string> warnings;
};

// The file that was written, read again before it takes the other one's place.
core::Status prove(const fs::path& path, bool quiet, const std::stop_token& stop, Signed& out) {
  IMPRINT_TRY(const FfuFile written, open_ffu(path));
  const ffu::Image& image = written.image();
  IMPRINT_CHECK(check_catalog(image));
  IMPRINT_TRY(const auto content, trust::read_catalog(image.catalog));
  IMPRINT_CHECK(trust::check_outside_catalog(content.encoded, image.hash_table));
  {
    Progress progress("Proving", quiet);
    IMPRINT_CHECK(ffu::verify_units(
        *written.opened, *written.file, 0,
        [&](std::uint64_t done, std::uint64_t total) { progress.update(done, total); }, stop));
  }
  const auto signer = trust::named_signer(image.catalog);
  out.signer = signer ? signer->subject : "";
  out.table_digest = std::string(trust::to_string(content.algorithm)) + ":" + core::to_hex(content.digest);
  return {};
}

// Every unit is checked on its way into the new file, whose start, with the signature, is written last: whatever does
// not verify, and whatever is stopped, leaves no signature behind.
core::Result<std::uint64_t> write_signed(const FfuFile& file, core::ByteView catalog, bool quiet,
                                         const std::stop_token& stop, PrivateFile& out) {
  Progress progress("Writing", quiet);
  IMPRINT_TRY(const std::uint64_t size,
              ffu::replace_catalog(
                  *file.opened, *file.file, catalog, out,
                  [&](std::uint64_t done, std::uint64_t total) { progress.update(done, total); }, stop));
  IMPRINT_CHECK(out.finish());
  return size;
}

core::Result<Signed> sign(const FfuSignOptions& options, const std::optional<trust::Signer>& signer,
                          const std::stop_token& stop) {
  IMPRINT_TRY(const FfuFile file, open_ffu(options.file));
  IMPRINT_CHECK(check_output(options.file, {}));
  if (::access(options.file.c_str(), W_OK) != 0) return core::fail_errno(errno, "io.permission", options.file.native());
  IMPRINT_TRY(const auto access, FileAccess::of(options.file));
  if (!access) return core::fail("io.not-found").with("file", options.file.native());
  IMPRINT_CHECK(check_catalog(file.image()));
  IMPRINT_CHECK(ffu::check_locations(file.image()));
  Signed out;
  if (signer) {
    IMPRINT_TRY(out.warnings, check_certificate(*signer));
  }
  IMPRINT_TRY(const core::ByteBuffer catalog, make_catalog(options, file.image(), signer));
  out.old_size = file.image().file_size;
  out.chunk_size = file.image().chunk_size;
  core::AtomicFile aside(options.file);
  IMPRINT_TRY(const auto written, PrivateFile::create(aside.temporary_path()));
  IMPRINT_TRY(out.size, write_signed(file, catalog, options.json, stop, *written));
  IMPRINT_CHECK(prove(aside.temporary_path(), options.json, stop, out));
  IMPRINT_TRY(const auto not_kept, written->take_access(*access));
  out.warnings.insert(out.warnings.end(), not_kept.begin(), not_kept.end());
  IMPRINT_CHECK(aside.commit());
  out.moved_chunks = (static_cast<std::int64_t>(out.size) - static_cast<std::int64_t>(out.old_size)) /
                     static_cast<std::int64_t>(out.chunk_size);
  return out;
}

std::string digest_name(const std::string& table_digest) { return table_digest.substr(0, table_digest.find(':')); }

void print_signed(const FfuSignOptions& options, const Signed& done) {
  print_line(fmt::format("Signed {}", name_of(options.file)));
  print_line(fmt::format("  Signer     {}", done.signer));
  print_line(fmt::format("  Digest     {} of the hash table", digest_name(done.table_digest)));
  if (options.timestamp) print_line(fmt::format("  Timestamp  from {}", name_of(*options.timestamp)));
  print_line(fmt::format("  Size       {} bytes{}", done.size,
                         done.moved_chunks == 0
                             ? std::string(", as before: the catalog fits its padding")
                             : fmt::format(", {} before: what follows the catalog moved by {} chunks of {} KiB",
                                           done.old_size, done.moved_chunks, done.chunk_size / 1024)));
  print_warnings(done.warnings);
}

core::Status save_catalog(const FfuCatalogOptions& options, std::size_t& size) {
  if (options.timestamp_request && options.timestamp_request->lexically_normal() == options.out.lexically_normal())
    return fail("usage.invalid", "the catalog and the timestamp request need files of their own");
  IMPRINT_TRY(const FfuFile file, open_ffu(options.file));
  IMPRINT_CHECK(check_output(options.out, {options.file}));
  IMPRINT_CHECK(check_catalog(file.image()));
  IMPRINT_TRY(const auto content, trust::read_catalog(file.image().catalog));
  if (options.timestamp_request) {
    IMPRINT_CHECK(check_output(*options.timestamp_request, {options.file, options.out}));
    IMPRINT_TRY(const auto request, trust::timestamp_request(content.encoded));
    IMPRINT_CHECK(core::write_file(*options.timestamp_request, request));
  }
  size = content.encoded.size();
  return core::write_file(options.out, content.encoded);
}

}  // namespace

ExitStatus ffu_sign(const FfuSignOptions& options) {
  if (const auto status = check_usage(options); !status) return report_error(status.error(), options.json);
  std::optional<trust::Signer> signer;
  if (options.key || options.pkcs12) {
    auto opened = open_signer(options);  // first: nobody wants to be asked after minutes of hashing
    if (!opened) return report_error(opened.error(), options.json);
    signer = std::move(*opened);
  }
  const StopOnSignal signals;
  const auto done = sign(options, signer, signals.token());
  if (!done) return report_error(done.error(), options.json);
  if (!options.json) {
    print_signed(options, *done);
    return ExitStatus::good;
  }
  print_line(json::serialize(json::object{{"file", name_of(options.file)},
                                          {"signer", done->signer},
                                          {"digest", digest_name(done->table_digest)},
                                          {"table_digest", done->table_digest},
                                          {"timestamped", options.timestamp.has_value()},
                                          {"size_before", done->old_size},
                                          {"size", done->size},
                                          {"moved_chunks", done->moved_chunks},
                                          {"warnings", to_json(done->warnings)}}));
  return ExitStatus::good;
}

ExitStatus ffu_catalog(const FfuCatalogOptions& options) {
  std::size_t size = 0;
  if (const auto status = save_catalog(options, size); !status) return report_error(status.error(), options.json);
  if (options.json) {
    json::object out{{"file", name_of(options.file)}, {"out", name_of(options.out)}, {"bytes", size}};
    if (options.timestamp_request) out["timestamp_request"] = name_of(*options.timestamp_request);
    print_line(json::serialize(out));
    return ExitStatus::good;
  }
  print_line(
      fmt::format("Wrote {}: the catalog alone, {} bytes. Signed elsewhere, it comes back by: imprint ffu sign {} "
                  "--catalog CATALOG",
                  name_of(options.out), size, name_of(options.file)));
  if (options.timestamp_request) {
    print_line(
        fmt::format("Wrote {}: a request to a timestamp authority. Its answer goes in by: imprint ffu sign {} "
                    "--timestamp ANSWER",
                    name_of(*options.timestamp_request), name_of(options.file)));
  }
  return ExitStatus::good;
}

}  // namespace imprint::station::cli
