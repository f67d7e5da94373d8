// SPDX-License-Identifier: GPL-3.0-or-later
// imprint ffu sign and catalog: signatures by keys of ours, and by signers outside.
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "flash/core/atomic_file.hpp"
#include "flash/core/errors.hpp"
#include "flash/ffu/verify.hpp"
#include "flash/ffu/writer.hpp"
#include "flash/trust/errors.hpp"
#include "flash/trust/signing.hpp"
#include "flash/trust/timestamp.hpp"
#include "station/cli/commands.hpp"
#include "station/cli/ffu_file.hpp"
#include "station/cli/ffu_json.hpp"
#include "station/cli/secret_prompt.hpp"
#include "station/cli/stop_on_signal.hpp"
#include "station/errors.hpp"

namespace imprint::station::cli {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

bool is_on_token(const FfuSignOptions& options) { return options.key && options.key->starts_with("pkcs11:"); }

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
  if (options.key && !options.certificate && !is_on_token(options))
    return fail("usage.invalid", "--key needs --cert; only a pkcs11 URI does without");
  if (options.passphrase_file && !with_key) return fail("usage.invalid", "--passphrase-file needs --key or --p12");
  if (options.digest && !with_key) return fail("usage.invalid", "--digest needs --key or --p12");
  return {};
}

core::Result<trust::Signer> open_signer(const FfuSignOptions& options, std::optional<trust::Secret> secret) {
  if (options.pkcs12) return trust::Signer::from_pkcs12(*options.pkcs12, std::move(secret));
  if (is_on_token(options)) return trust::Signer::from_pkcs11(options.certificate, *options.key, std::move(secret));
  return trust::Signer::from_pem(*options.certificate, *options.key, std::move(secret));
}

// Asks for a secret only when one is needed and no file has it.
core::Result<trust::Signer> open_signer(const FfuSignOptions& options) {
  std::optional<trust::Secret> secret;
  if (options.passphrase_file) {
    IMPRINT_TRY(secret, trust::Secret::read_line(*options.passphrase_file));
  }
  auto signer = open_signer(options, std::move(secret));
  if (signer || options.passphrase_file) return signer;
  const bool pin = signer.error().id() == "sign.pin-needed";
  if (!pin && signer.error().id() != "sign.key-encrypted") return signer;
  const std::string what = pin ? "PIN of the token" : "Passphrase of the key";
  IMPRINT_TRY(secret, ask_secret(what + ": "));
  if (!secret) {
    signer.error().add_context("terminal", "none to ask at; name a file with --passphrase-file");
    return signer;
  }
  return open_signer(options, std::move(secret));
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
    const auto digest = options.digest == "sha256" ? trust::DigestAlgorithm::sha256 : trust::DigestAlgorithm::sha1;
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

// The new file is the old one's in everything but its contents.
core::Status keep_access(const fs::path& from, const fs::path& to) {
  struct stat info{};
  if (::stat(from.c_str(), &info) != 0) return core::fail_errno(errno, "io.read-failed", from.native());
  // Another owner can be kept by root only.
  if (::chown(to.c_str(), info.st_uid, info.st_gid) != 0 && errno != EPERM)
    return core::fail_errno(errno, "io.write-failed", to.native());
  if (::chmod(to.c_str(), info.st_mode & 07777) != 0) return core::fail_errno(errno, "io.write-failed", to.native());
  return {};
}

struct Signed {
  std::uint64_t old_size = 0;
  std::uint64_t size = 0;
  std::uint32_t chunk_size = 0;
  std::int64_t moved_chunks = 0;
  std::string signer;
  std::string table_digest;
};

core::Status verify(const FfuFile& file, std::string_view label, bool quiet, const std::stop_token& stop) {
  IMPRINT_CHECK(check_catalog(file.image()));
  IMPRINT_CHECK(ffu::check_locations(file.image()));
  Progress progress(std::string(label), quiet);
  return ffu::verify_units(
      *file.opened, *file.file, 0, [&](std::uint64_t done, std::uint64_t total) { progress.update(done, total); },
      stop);
}

// The file that was written, read again before it takes the other one's place.
core::Status prove(const fs::path& path, bool quiet, const std::stop_token& stop, Signed& out) {
  IMPRINT_TRY(const FfuFile written, open_ffu(path));
  IMPRINT_CHECK(verify(written, "Proving", quiet, stop));
  IMPRINT_TRY(const auto content, trust::read_catalog(written.image().catalog));
  IMPRINT_CHECK(trust::check_outside_catalog(content.encoded, written.image().hash_table));
  // Only to name the signer; who is trusted is for verify to say.
  const auto decision =
      trust::decide(written.image(), trust::Policy::test, trust::TrustStore::empty(), core::SystemClock().now());
  out.signer = decision.signer ? decision.signer->subject : "";
  out.table_digest = decision.table_digest;
  return {};
}

core::Result<Signed> sign(const FfuSignOptions& options, const std::optional<trust::Signer>& signer,
                          const std::stop_token& stop) {
  IMPRINT_TRY(const FfuFile file, open_ffu(options.file));
  IMPRINT_CHECK(check_output(options.file, {}));
  if (::access(options.file.c_str(), W_OK) != 0) return core::fail_errno(errno, "io.permission", options.file.native());
  core::ByteBuffer catalog;
  if (!signer) {  // what does not fit is said before minutes of hashing
    IMPRINT_TRY(catalog, make_catalog(options, file.image(), signer));
  }
  IMPRINT_CHECK(verify(file, "Hashing", options.json, stop));
  if (signer) {  // nothing is signed that does not verify
    IMPRINT_TRY(catalog, make_catalog(options, file.image(), signer));
  }
  Signed out;
  out.old_size = file.image().file_size;
  out.chunk_size = file.image().chunk_size;
  core::AtomicFile aside(options.file);
  {
    Progress progress("Writing", options.json);
    IMPRINT_TRY(const auto sink, core::FileSink::create(aside.temporary_path(), 0));
    IMPRINT_TRY(out.size,
                ffu::replace_catalog(*file.opened, *file.file, catalog, *sink,
                                     [&](std::uint64_t done, std::uint64_t total) { progress.update(done, total); }));
  }
  if (stop.stop_requested()) return core::fail("job.cancelled");
  IMPRINT_CHECK(prove(aside.temporary_path(), options.json, stop, out));
  IMPRINT_CHECK(keep_access(options.file, aside.temporary_path()));
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
                                          {"moved_chunks", done->moved_chunks}}));
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
