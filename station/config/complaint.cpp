// SPDX-License-Identifier: GPL-3.0-or-later
// Complaints as text.
#include "station/config/complaint.hpp"

#include <fmt/format.h>

#include "flash/core/text.hpp"

namespace imprint::station::config {

Place place_of(const Places& places, std::string_view setting) {
  const auto found = places.find(setting);
  return found == places.end() ? Place{} : found->second;
}

std::string Complaint::remedy() const { return write.empty() ? std::string(error.row().remedy) : write; }

std::string Complaint::to_line() const {
  std::string at = file.native();
  if (place.line != 0) at += fmt::format(":{}:{}", place.line, place.column);
  return core::printable(fmt::format("{}: {}: {}; {}", at, error.id(), error.message(), remedy()));
}

core::Error as_error(const Complaints& complaints) {
  auto failure = fail("config.faulty").with("faults", complaints.size());
  core::Error error = std::move(failure).error();
  if (complaints.empty()) return error;
  const Complaint& first = complaints.front();
  error.add_context("file", first.file.native());
  error.add_context("line", std::to_string(first.place.line));
  error.set_cause(first.error);
  return error;
}

}  // namespace imprint::station::config
