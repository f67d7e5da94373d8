// SPDX-License-Identifier: GPL-3.0-or-later
// Renders an Error for people and finds values in its context.
#include "flash/core/result.hpp"

#include "flash/core/text.hpp"

namespace imprint::core {

std::string_view Error::context_value(std::string_view key) const {
  for (const auto& [name, value] : context_) {
    if (name == key) return value;
  }
  return {};
}

std::string Error::message() const {
  std::string out(row_->text);
  if (!detail_.empty()) out += ": " + detail_;
  if (!context_.empty()) {
    out += " (";
    for (std::size_t i = 0; i < context_.size(); ++i) {
      if (i != 0) out += ", ";
      out += context_[i].first + " " + context_[i].second;
    }
    out += ")";
  }
  if (cause_) out += "; cause: " + std::string(cause_->id()) + ": " + cause_->message();
  return printable(out);
}

}  // namespace imprint::core
