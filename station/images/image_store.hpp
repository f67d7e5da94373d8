// SPDX-License-Identifier: GPL-3.0-or-later
// The images that this station may flash, in a folder of its own: copied there, verified from the copy, and sealed.
// Asked for by digest and never by path, so that nobody can put another file under a name that is trusted.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "flash/core/clock.hpp"
#include "flash/core/result.hpp"
#include "flash/engine/verified_image.hpp"
#include "flash/trust/policy.hpp"
#include "station/images/image_record.hpp"

namespace imprint::station::images {

enum class AdmissionPhase : std::uint8_t { copying, verifying };
// Called from any thread, one at a time, with bytes.
using AdmissionProgress = std::function<void(AdmissionPhase phase, std::uint64_t done, std::uint64_t total)>;

struct OpenedFromStore {
  ImageRecord record;
  std::shared_ptr<engine::VerifiedImage> image;
};

class StagedFile;

// DIGEST.ffu with its decision DIGEST.json. Thread-safe, and safe beside other processes: what changes the folder is
// done under a lock on it, and an admission under one on its own file.
class ImageStore {
 public:
  // Makes the folder (mode 0750) where it is not there, and takes away what interrupted admissions left. `io.*`.
  [[nodiscard]] static core::Result<std::unique_ptr<ImageStore>> open(const std::filesystem::path& folder);
  // The same without a change to the folder: for those who only look. `io.not-found`.
  [[nodiscard]] static core::Result<std::unique_ptr<ImageStore>> open_to_read(const std::filesystem::path& folder);

  struct Admission {
    std::filesystem::path file;
    trust::Policy policy = trust::Policy::retail;
    core::UtcTime now;
  };
  // What a file turned out to be, also where it is refused then.
  struct Seen {
    std::string digest;  // empty: it did not come so far
    std::uint64_t size = 0;
    std::string signer;  // subject, as the file claims it; empty where nobody is named
  };
  // Copies (by reflink where the file system can), judges and verifies the copy to its last byte, makes it read-only
  // and durable, seals it, and gives it its name. An image that is there already is judged and verified anew under this
  // policy, and its record replaced. A refusal is the decision's own error; `image.hash-mismatch`, `io.disk-full`,
  // `job.cancelled`, `store.image-withdrawn`. A failure leaves nothing behind.
  [[nodiscard]] core::Result<ImageRecord> admit(const Admission& admission, const trust::TrustStore& trust,
                                                const AdmissionProgress& progress, std::stop_token stop,
                                                Seen* seen = nullptr);

  // In the order of admission, withdrawn ones too. A record that cannot be read fails all: `store.record-damaged`.
  [[nodiscard]] core::Result<std::vector<ImageRecord>> list() const;
  // By the whole digest or its first digits, 8 or more. `store.image-missing`, `store.digest-ambiguous`,
  // `store.digest-malformed`.
  [[nodiscard]] core::Result<ImageRecord> find(std::string_view digest) const;
  // For flashing: not withdrawn, of the size that was admitted, and its headers hashed anew. The chunks are hashed as
  // they are read, as of every image. `store.image-withdrawn`, `store.image-changed`, and those of find().
  [[nodiscard]] core::Result<OpenedFromStore> open_image(std::string_view digest) const;

  // Not to be flashed any more, admitted again included, until it is reinstated. Who opened it before has it still:
  // the caller disarms. `by` and `reason` go into the record.
  core::Status withdraw(std::string_view digest, std::string_view by, std::string_view reason, core::UtcTime now);
  core::Status reinstate(std::string_view digest);
  // Takes the image away; of a withdrawn one the record stays, so that it does not come back unnoticed.
  core::Status remove(std::string_view digest);

  [[nodiscard]] const std::filesystem::path& folder() const { return folder_; }

 private:
  explicit ImageStore(std::filesystem::path folder) : folder_(std::move(folder)) {}
  [[nodiscard]] std::filesystem::path image_path(std::string_view digest) const;
  [[nodiscard]] std::filesystem::path record_path(std::string_view digest) const;
  [[nodiscard]] core::Result<ImageRecord> read_record(const std::filesystem::path& path) const;
  core::Status write_record(const ImageRecord& record) const;
  core::Status remove_leftovers() const;
  [[nodiscard]] core::Status check_not_withdrawn(std::string_view digest) const;
  [[nodiscard]] core::Status look_at_source(const Admission& admission, const trust::TrustStore& trust,
                                            Seen& seen) const;
  [[nodiscard]] core::Result<StagedFile> stage() const;

  std::filesystem::path folder_;
};

}  // namespace imprint::station::images
