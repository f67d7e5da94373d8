// SPDX-License-Identifier: GPL-3.0-or-later
// Admission in the order copy, judge, verify, seal, name, record; an image without its record was never admitted.
#include "station/images/image_store.hpp"

#include <algorithm>
#include <optional>
#include <system_error>
#include <utility>

#include "flash/core/atomic_file.hpp"
#include "flash/core/block_io.hpp"
#include "flash/core/errors.hpp"
#include "flash/core/text.hpp"
#include "flash/engine/image_file.hpp"
#include "flash/ffu/verify.hpp"
#include "station/images/errors.hpp"
#include "station/images/image_copy.hpp"

namespace imprint::station::images {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kDigestDigits = 64;
constexpr std::size_t kLeastDigits = 8;
constexpr std::uint64_t kMaxRecordBytes = 1U << 20;
constexpr std::string_view kImageEnding = ".ffu";
constexpr std::string_view kRecordEnding = ".json";

bool is_hex(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

// DIGEST.ffu or DIGEST.json.
bool is_of_store(const fs::path& path, std::string_view ending) {
  const std::string name = path.filename().native();
  return name.size() == kDigestDigits + ending.size() && name.ends_with(ending) &&
         is_hex(std::string_view(name).substr(0, kDigestDigits));
}

core::Result<std::vector<fs::path>> entries_of(const fs::path& folder) {
  std::vector<fs::path> paths;
  std::error_code error;
  for (fs::directory_iterator it(folder, error); !error && it != fs::directory_iterator(); it.increment(error))
    paths.push_back(it->path());
  if (error) return core::fail_errno(error.value(), "io.read-failed", folder.native());
  return paths;
}

core::Status remove_file(const fs::path& path) {
  std::error_code error;
  fs::remove(path, error);
  if (error) return core::fail_errno(error.value(), "io.write-failed", path.native());
  return {};
}

core::Failure refuse_withdrawn(const ImageRecord& record) {
  return fail("store.image-withdrawn", record.withdrawn->reason)
      .with("digest", record.digest)
      .with("by", record.withdrawn->by)
      .with("at", record.withdrawn->at);
}

// Signature, every chunk, every write: what was asked is in the record.
core::Result<ImageRecord> judge(const fs::path& file, const ImageStore::Admission& admission,
                                const trust::TrustStore& trust, const AdmissionProgress& progress,
                                const std::stop_token& stop) {
  IMPRINT_TRY(std::shared_ptr<const core::BlockSource> source, core::FileSource::open(file));
  const std::uint64_t size = source->size();
  IMPRINT_TRY(const auto image, engine::VerifiedImage::open(std::move(source)));
  const trust::Decision decision = trust::decide(image->image(), admission.policy, trust, admission.now);
  if (!decision.accepted) return std::unexpected(decision.refusal());
  const auto tell = [&progress](std::uint64_t done, std::uint64_t total) {
    if (progress) progress(AdmissionPhase::verifying, done, total);
  };
  IMPRINT_CHECK(ffu::verify_units(image->opened(), image->file(), 0, tell, stop));
  IMPRINT_CHECK(ffu::check_locations(image->image()));
  ImageRecord record;
  record.digest = image->identity();
  record.size = size;
  record.name = core::printable(admission.file.filename().native());
  record.admitted_at = core::to_iso8601(admission.now);
  record.policy = admission.policy;
  if (decision.signer) {
    record.signer = core::printable(decision.signer->subject);
    record.signer_sha256 = decision.signer->sha256;
  }
  if (decision.root) record.root = core::printable(decision.root->subject);
  record.table_digest = decision.table_digest;
  record.trust_digest = trust.digest();
  for (const std::string& id : image->image().platform_ids()) record.platform_ids.push_back(core::printable(id));
  return record;
}

}  // namespace

core::Result<std::unique_ptr<ImageStore>> ImageStore::open(const fs::path& folder) {
  std::error_code error;
  const bool made = fs::create_directories(folder, error);
  if (error) return core::fail_errno(error.value(), "io.open-failed", folder.native());
  if (made) {
    fs::permissions(folder, static_cast<fs::perms>(0750), error);
    if (error) return core::fail_errno(error.value(), "io.open-failed", folder.native());
  }
  std::unique_ptr<ImageStore> store(new ImageStore(folder));
  IMPRINT_CHECK(store->remove_leftovers());
  return store;
}

core::Result<std::unique_ptr<ImageStore>> ImageStore::open_to_read(const fs::path& folder) {
  std::error_code error;
  if (!fs::is_directory(folder, error)) {
    return core::fail_errno(error ? error.value() : ENOTDIR, "io.open-failed", folder.native());
  }
  return std::unique_ptr<ImageStore>(new ImageStore(folder));
}

fs::path ImageStore::image_path(std::string_view digest) const {
  return folder_ / (std::string(digest) + std::string(kImageEnding));
}

fs::path ImageStore::record_path(std::string_view digest) const {
  return folder_ / (std::string(digest) + std::string(kRecordEnding));
}

core::Status ImageStore::remove_leftovers() const {
  IMPRINT_TRY(const OpenFile lock, lock_folder(folder_));
  IMPRINT_TRY(const std::vector<fs::path> paths, entries_of(folder_));
  bool removed = false;
  for (const fs::path& path : paths) {
    std::error_code error;
    const std::string name = path.filename().native();
    const bool staged = name.starts_with(StagedFile::kPrefix);
    const bool half_written = name.find(std::string(kRecordEnding) + ".partial-") == kDigestDigits;
    const bool unrecorded = is_of_store(path, kImageEnding) &&
                            !fs::exists(fs::path(path).replace_extension(kRecordEnding), error) && !error;
    if (!half_written && !((staged || unrecorded) && is_abandoned(path))) continue;
    IMPRINT_CHECK(remove_file(path));
    removed = true;
  }
  return removed ? sync_folder(folder_) : core::Status{};
}

core::Result<ImageRecord> ImageStore::read_record(const fs::path& path) const {
  IMPRINT_TRY(const std::string text, core::read_text_file(path, kMaxRecordBytes));
  auto record = parse_image_record(text);
  if (!record) {
    record.error().add_context("file", path.native());
    return record;
  }
  if (record->digest != path.stem().native())
    return fail("store.record-damaged", "it is of another image").with("file", path.native());
  return record;
}

core::Status ImageStore::write_record(const ImageRecord& record) const {
  return core::write_file(record_path(record.digest), core::as_bytes(to_json(record) + "\n"));
}

core::Status ImageStore::check_not_withdrawn(std::string_view digest) const {
  std::error_code error;
  if (!fs::exists(record_path(digest), error)) return {};
  IMPRINT_TRY(const ImageRecord before, read_record(record_path(digest)));
  return before.withdrawn ? core::Status(refuse_withdrawn(before)) : core::Status{};
}

// What would be refused anyway is not worth copying. Judged again from the copy.
core::Status ImageStore::look_at_source(const Admission& admission, const trust::TrustStore& trust, Seen& seen) const {
  IMPRINT_TRY(std::shared_ptr<const core::BlockSource> source, core::FileSource::open(admission.file));
  seen.size = source->size();
  IMPRINT_TRY(const auto image, engine::VerifiedImage::open(std::move(source)));
  seen.digest = image->identity();
  const trust::Decision decision = trust::decide(image->image(), admission.policy, trust, admission.now);
  if (decision.signer) seen.signer = core::printable(decision.signer->subject);
  if (!decision.accepted) return std::unexpected(decision.refusal());
  return check_not_withdrawn(image->identity());
}

core::Result<StagedFile> ImageStore::stage() const {
  // Under the lock, so that nobody takes the file for a leftover before it is locked itself.
  IMPRINT_TRY(const OpenFile lock, lock_folder(folder_));
  return StagedFile::create(folder_);
}

core::Result<ImageRecord> ImageStore::admit(const Admission& admission, const trust::TrustStore& trust,
                                            const AdmissionProgress& progress, std::stop_token stop, Seen* seen) {
  Seen nobody_asked;
  IMPRINT_CHECK(look_at_source(admission, trust, seen != nullptr ? *seen : nobody_asked));
  IMPRINT_TRY(StagedFile staged, stage());
  const auto tell = [&progress](std::uint64_t done, std::uint64_t total) {
    if (progress) progress(AdmissionPhase::copying, done, total);
  };
  IMPRINT_TRY(const CopiedBy copied, staged.fill(admission.file, tell, stop));
  // From the copy, which nobody else has: the source may change at any time.
  IMPRINT_TRY(ImageRecord record, judge(staged.path(), admission, trust, progress, stop));
  record.copied_by = copied;
  IMPRINT_TRY(record.sealed_by, staged.seal());
  IMPRINT_TRY(const OpenFile lock, lock_folder(folder_));
  IMPRINT_CHECK(check_not_withdrawn(record.digest));
  std::error_code error;
  const bool known = fs::exists(record_path(record.digest), error);
  IMPRINT_CHECK(staged.keep_as(image_path(record.digest)));
  if (auto written = write_record(record); !written) {
    // An image without a record is taken away; one that had a record before is the same image still.
    if (!known) static_cast<void>(remove_file(image_path(record.digest)));
    return std::unexpected(std::move(written).error());
  }
  return record;
}

core::Result<std::vector<ImageRecord>> ImageStore::list() const {
  IMPRINT_TRY(const std::vector<fs::path> paths, entries_of(folder_));
  std::vector<ImageRecord> records;
  for (const fs::path& path : paths) {
    if (!is_of_store(path, kRecordEnding)) continue;
    IMPRINT_TRY(ImageRecord record, read_record(path));
    records.push_back(std::move(record));
  }
  std::ranges::sort(records, [](const ImageRecord& a, const ImageRecord& b) {
    return std::pair(a.admitted_at, a.digest) < std::pair(b.admitted_at, b.digest);
  });
  return records;
}

core::Result<ImageRecord> ImageStore::find(std::string_view asked) const {
  const std::string digest = core::to_lower_ascii(asked.starts_with("sha256:") ? asked.substr(7) : asked);
  if (digest.size() < kLeastDigits || digest.size() > kDigestDigits || !is_hex(digest))
    return fail("store.digest-malformed").with("digest", core::printable(asked));
  IMPRINT_TRY(const std::vector<fs::path> paths, entries_of(folder_));
  const fs::path* found = nullptr;
  for (const fs::path& path : paths) {
    if (!is_of_store(path, kRecordEnding) || !path.filename().native().starts_with(digest)) continue;
    if (found != nullptr) return fail("store.digest-ambiguous").with("digest", digest);
    found = &path;
  }
  if (found == nullptr) return fail("store.image-missing").with("digest", digest).with("store", folder_.native());
  return read_record(*found);
}

core::Result<OpenedFromStore> ImageStore::open_image(std::string_view digest) const {
  IMPRINT_TRY(ImageRecord record, find(digest));
  if (record.withdrawn) return refuse_withdrawn(record);
  const fs::path path = image_path(record.digest);
  const auto changed = [&](std::string what) {
    return fail("store.image-changed", std::move(what)).with("file", path.native());
  };
  std::error_code error;
  const auto status = fs::symlink_status(path, error);
  if (status.type() == fs::file_type::not_found)
    return fail("store.image-missing", "its record is there, its file is not").with("digest", record.digest);
  if (!fs::is_regular_file(status)) return changed("it is no file of its own");
  IMPRINT_TRY(auto source, engine::ImageFile::open(path));
  if (source->size() != record.size) return changed("its size is another one");
  auto image = engine::VerifiedImage::open_watched(std::move(source));
  if (!image) return changed("its headers are not what was admitted").caused_by(std::move(image).error());
  if ((*image)->identity() != record.digest) return changed("it is another image");
  return OpenedFromStore{std::move(record), std::move(*image)};
}

core::Status ImageStore::withdraw(std::string_view digest, std::string_view by, std::string_view reason,
                                  core::UtcTime now) {
  IMPRINT_TRY(const OpenFile lock, lock_folder(folder_));
  IMPRINT_TRY(ImageRecord record, find(digest));
  record.withdrawn = Withdrawal{core::to_iso8601(now), core::printable(by), core::printable(reason)};
  return write_record(record);
}

core::Status ImageStore::reinstate(std::string_view digest) {
  IMPRINT_TRY(const OpenFile lock, lock_folder(folder_));
  IMPRINT_TRY(ImageRecord record, find(digest));
  record.withdrawn.reset();
  return write_record(record);
}

core::Status ImageStore::remove(std::string_view digest) {
  IMPRINT_TRY(const OpenFile lock, lock_folder(folder_));
  IMPRINT_TRY(const ImageRecord record, find(digest));
  // The record first: an image without one is a leftover, which the next opening takes away.
  if (!record.withdrawn) IMPRINT_CHECK(remove_file(record_path(record.digest)));
  IMPRINT_CHECK(remove_file(image_path(record.digest)));
  return sync_folder(folder_);
}

}  // namespace imprint::station::images
