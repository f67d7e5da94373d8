// SPDX-License-Identifier: GPL-3.0-or-later
// Joins the rows that each folder declares.
#include "station/error_table.hpp"

#include <algorithm>

#include "db/errors.hpp"
#include "devices/capture/errors.hpp"
#include "devices/protocol/errors.hpp"
#include "flash/bcd/errors.hpp"
#include "flash/core/errors.hpp"
#include "flash/disk/errors.hpp"
#include "flash/engine/errors.hpp"
#include "flash/ffu/errors.hpp"
#include "flash/imaging/errors.hpp"
#include "flash/inspect/errors.hpp"
#include "flash/trust/errors.hpp"
#include "station/admission/errors.hpp"
#include "station/api/errors.hpp"
#include "station/config/errors.hpp"
#include "station/errors.hpp"
#include "station/images/errors.hpp"
#include "station/jobs/errors.hpp"
#include "station/line/errors.hpp"
#include "station/people/errors.hpp"
#include "station/service/errors.hpp"
#include "station/training/errors.hpp"

namespace imprint::station {

std::vector<core::ErrorRow> all_error_rows() {
  std::vector<core::ErrorRow> rows;
  const auto add = [&](const auto& folder) {
    for (const core::ErrorRow& row : folder) rows.push_back(row);
  };
  add(core::kErrorRows);
  add(disk::kErrorRows);
  add(ffu::kErrorRows);
  add(trust::kErrorRows);
  add(bcd::kErrorRows);
  add(inspect::kErrorRows);
  add(imaging::kErrorRows);
  add(engine::kErrorRows);
  add(devices::kErrorRows);
  add(capture::kErrorRows);
  add(db::kErrorRows);
  add(station::kErrorRows);
  add(admission::kErrorRows);
  add(api::kErrorRows);
  add(config::kErrorRows);
  add(images::kErrorRows);
  add(jobs::kErrorRows);
  add(line::kErrorRows);
  add(people::kErrorRows);
  add(service::kErrorRows);
  add(training::kErrorRows);
  std::ranges::sort(rows, {}, &core::ErrorRow::id);
  return rows;
}

}  // namespace imprint::station
