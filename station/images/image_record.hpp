// SPDX-License-Identifier: GPL-3.0-or-later
// The decision that stands beside an image in the store: what was admitted, who signed it, and how it was sealed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "flash/core/clock.hpp"
#include "flash/core/result.hpp"
#include "flash/trust/policy.hpp"

namespace imprint::station::images {

// How the copy came about, and what keeps its bytes from changing.
enum class CopiedBy : std::uint8_t { reflink, copying };
enum class SealedBy : std::uint8_t {
  fs_verity,
  nothing
};  // nothing: only by permissions and the check at each opening
[[nodiscard]] std::string_view to_string(CopiedBy how);  // "reflink", "copy"
[[nodiscard]] std::string_view to_string(SealedBy how);  // "fs-verity", "not sealed"

struct Withdrawal {
  std::string at;  // ISO 8601
  std::string by;
  std::string reason;
};

struct ImageRecord {
  std::string digest;  // the image's identity: SHA-256 of its header area, lower-case hex
  std::uint64_t size = 0;
  std::string name;         // of the file that was admitted, without its folder
  std::string admitted_at;  // ISO 8601, UTC
  trust::Policy policy = trust::Policy::retail;
  std::string signer;         // subject; empty where none was asked for
  std::string signer_sha256;  // of the certificate
  std::string root;
  std::string table_digest;
  std::string trust_digest;  // of the trust set that was asked
  std::vector<std::string> platform_ids;
  CopiedBy copied_by = CopiedBy::copying;
  SealedBy sealed_by = SealedBy::nothing;
  std::optional<Withdrawal> withdrawn;
};

[[nodiscard]] std::string to_json(const ImageRecord& record);
// `store.record-damaged`
[[nodiscard]] core::Result<ImageRecord> parse_image_record(std::string_view json);

}  // namespace imprint::station::images
