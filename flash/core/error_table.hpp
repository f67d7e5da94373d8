// SPDX-License-Identifier: GPL-3.0-or-later
// The one table of errors. Each folder declares its rows in one constexpr array called kErrorRows; code names a row by
// its id, and an id that is not in the folder's array does not compile. station joins all arrays into the product's
// table.
#pragma once

#include <string_view>

namespace imprint::core {

// Who has to act, which is also how yield reports group a failure and how the command line picks its exit status.
enum class FaultClass {
  unit,      // the device on the line: set it aside
  image,     // the image or another input file: tell the engineer
  station,   // this machine, its disk, permissions, records or cables
  operator_  // something to do differently at the station
};

[[nodiscard]] constexpr std::string_view to_string(FaultClass fault) {
  switch (fault) {
    case FaultClass::unit:
      return "unit";
    case FaultClass::image:
      return "image";
    case FaultClass::station:
      return "station";
    case FaultClass::operator_:
      return "operator";
  }
  return "station";
}

// One kind of failure. Ids are stable: records store them and reports count by them.
struct ErrorRow {
  std::string_view id;      // "image.hash-mismatch"
  std::string_view text;    // one sentence, what happened
  std::string_view remedy;  // one sentence, what to do next
  FaultClass fault;
};

// A reference to a row of one folder's array, checked while compiling.
template <const auto& Rows>
class RowRef {
 public:
  consteval RowRef(const char* id) : row_(&find(id)) {}  // NOLINT(google-explicit-constructor): ids read as literals
  [[nodiscard]] constexpr const ErrorRow& row() const { return *row_; }

 private:
  static consteval const ErrorRow& find(std::string_view id) {
    for (const ErrorRow& row : Rows) {
      if (row.id == id) return row;
    }
    throw "this error id is not in the folder's kErrorRows";  // reached only while compiling: it stops the build
  }
  const ErrorRow* row_;
};

}  // namespace imprint::core
