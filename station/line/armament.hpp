// SPDX-License-Identifier: GPL-3.0-or-later
// What one arming holds. Private to this folder.
#pragma once

#include "station/line/line.hpp"

namespace imprint::station::line {

struct Line::Armament {
  Armament(const LineParts& parts, admission::ScanDesk& desk, Leaves& leaves, Armed armed,
           LineRules::OnQuarantine on_quarantine)
      : rules({parts.records, parts.clock, desk, leaves, parts.at_work}, std::move(armed), std::move(on_quarantine)) {}

  LineRules rules;
  bool once = false;  // for chosen slots and by no product's file; the records have no row of its arming
  std::string order_number;
  core::UtcTime since;
  std::shared_ptr<engine::VerifiedImage> image;
  std::unique_ptr<Session> session;  // last: it ends before what it asks
};

}  // namespace imprint::station::line
