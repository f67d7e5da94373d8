// SPDX-License-Identifier: GPL-3.0-or-later
// Result and Error: how every function of the product says that it failed. Exceptions do not cross a folder's border.
#pragma once

#include <expected>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "flash/core/error_table.hpp"

namespace imprint::core {

// A failure: the row of the error table, what was special about this case, and what caused it.
class Error {
 public:
  explicit Error(const ErrorRow& row, std::string detail = {}) : row_(&row), detail_(std::move(detail)) {}

  [[nodiscard]] const ErrorRow& row() const { return *row_; }
  [[nodiscard]] std::string_view id() const { return row_->id; }
  [[nodiscard]] const std::string& detail() const { return detail_; }
  // Key and value pairs in the order they were added: file, offset, slot, expected, actual ...
  [[nodiscard]] const std::vector<std::pair<std::string, std::string>>& context() const { return context_; }
  [[nodiscard]] const Error* cause() const { return cause_.get(); }
  // The value of a context key, or an empty string.
  [[nodiscard]] std::string_view context_value(std::string_view key) const;

  void add_context(std::string key, std::string value) { context_.emplace_back(std::move(key), std::move(value)); }
  void set_cause(Error cause) { cause_ = std::make_shared<const Error>(std::move(cause)); }

  // "<text>: <detail> (offset 512, file x): caused by <id>: ..." on one line, control characters replaced.
  [[nodiscard]] std::string message() const;

 private:
  const ErrorRow* row_;
  std::string detail_;
  std::vector<std::pair<std::string, std::string>> context_;
  std::shared_ptr<const Error> cause_;  // shared so that an Error stays cheap to copy; never changed once set
};

template <class T>
using Result = std::expected<T, Error>;
using Status = Result<void>;

// What a failing function returns: converts to any Result. Built by each folder's fail().
class Failure : public std::unexpected<Error> {
 public:
  explicit Failure(Error error) : std::unexpected<Error>(std::move(error)) {}

  template <class V>
  [[nodiscard]] Failure with(std::string key, const V& value) && {
    if constexpr (std::is_arithmetic_v<V>) {
      error().add_context(std::move(key), std::to_string(value));
    } else {
      error().add_context(std::move(key), std::string(value));
    }
    return std::move(*this);
  }
  [[nodiscard]] Failure caused_by(Error cause) && {
    error().set_cause(std::move(cause));
    return std::move(*this);
  }
};

}  // namespace imprint::core

// Macros, because GCC 12's std::expected has no monadic members.
// NOLINTBEGIN(bugprone-macro-parentheses): a declaration cannot stand in parentheses
#define IMPRINT_CONCAT_INNER(a, b) a##b
#define IMPRINT_CONCAT(a, b) IMPRINT_CONCAT_INNER(a, b)
// IMPRINT_TRY(auto value, call()): value, or return the error of the call.
#define IMPRINT_TRY(declaration, expression) \
  IMPRINT_TRY_IMPL(IMPRINT_CONCAT(try_result_, __LINE__), declaration, expression)
#define IMPRINT_TRY_IMPL(result, declaration, expression)         \
  auto result = (expression);                                     \
  if (!result) return std::unexpected(std::move(result).error()); \
  declaration = std::move(*result)
// IMPRINT_CHECK(call()): go on, or return the error of the call.
#define IMPRINT_CHECK(expression) IMPRINT_CHECK_IMPL(IMPRINT_CONCAT(check_result_, __LINE__), expression)
#define IMPRINT_CHECK_IMPL(result, expression) \
  if (auto result = (expression); !result) return std::unexpected(std::move(result).error())
// NOLINTEND(bugprone-macro-parentheses)
