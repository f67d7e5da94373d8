// SPDX-License-Identifier: GPL-3.0-or-later
// The names by which BootConfigurationDatabase XML calls objects and elements. Names are compared without spaces,
// hyphens and case, because published files do not agree on them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "flash/core/guid.hpp"

namespace imprint::bcd {

struct KnownObject {
  std::string_view id;  // as Guid::to_string prints it
  std::uint32_t type = 0;
  std::string_view name;  // bcdedit's; empty when it has none
};

// Lower case, without spaces, hyphens and underscores.
[[nodiscard]] std::string folded_name(std::string_view text);

[[nodiscard]] std::optional<std::uint32_t> element_of_schema_name(std::string_view name);
[[nodiscard]] const KnownObject* object_of_schema_name(std::string_view name);
[[nodiscard]] const KnownObject* known_object(const core::Guid& id);

}  // namespace imprint::bcd
