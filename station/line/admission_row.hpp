// SPDX-License-Identifier: GPL-3.0-or-later
// What the records keep of an image in the store.
#pragma once

#include "db/admissions.hpp"
#include "station/images/image_record.hpp"

namespace imprint::station::line {

[[nodiscard]] inline db::NewAdmission admission_row(const images::ImageRecord& record, std::string decision,
                                                    std::string detail, const db::Actor& by) {
  return {.sha256 = record.digest,
          .size = record.size,
          .signer = record.signer,
          .policy = std::string(trust::to_string(record.policy)),
          .decision = std::move(decision),
          .sealed_by = record.sealed_by == images::SealedBy::fs_verity ? "fs-verity" : "read-only",
          .detail = std::move(detail),
          .by = by};
}

}  // namespace imprint::station::line
