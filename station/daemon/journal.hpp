// SPDX-License-Identifier: GPL-3.0-or-later
// The daemon's log: fields to systemd's journal where standard error leads there, lines of key=value elsewhere. Not
// spdlog: its journal sink sends a text and no fields, by which an attempt or a slot is found again.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

#include "flash/core/result.hpp"

namespace imprint::daemon {

enum class Level { info, notice, warning, error };

// Thread-safe. Never fails: what cannot be logged is not.
class Journal {
 public:
  using Field = std::pair<std::string_view, std::string>;  // "SLOT", "A1": capitals and underscores
  Journal();
  void log(Level level, std::string_view message, std::initializer_list<Field> fields = {}) const;
  // With the error's id, context and remedy as fields.
  void log(Level level, std::string_view message, const core::Error& error) const;

 private:
  void write(Level level, std::string_view message, const Field* fields, std::size_t count) const;
  bool to_journald_ = false;
};

}  // namespace imprint::daemon
