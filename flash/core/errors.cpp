// SPDX-License-Identifier: GPL-3.0-or-later
// Maps errno to rows of the error table.
#include "flash/core/errors.hpp"

#include <cerrno>
#include <system_error>

namespace imprint::core {

Failure fail_errno(int error_number, ErrorId otherwise, std::string_view what) {
  ErrorId id = otherwise;
  if (error_number == ENOENT || error_number == ENOTDIR) id = ErrorId("io.not-found");
  if (error_number == EACCES || error_number == EPERM || error_number == EROFS) id = ErrorId("io.permission");
  if (error_number == ENOSPC || error_number == EDQUOT) id = ErrorId("io.disk-full");
  return fail(id, std::error_code(error_number, std::generic_category()).message()).with("file", what);
}

}  // namespace imprint::core
