// SPDX-License-Identifier: GPL-3.0-or-later
// BCD settings as OEM packages bring them: BootConfigurationDatabase XML (namespace
// .../phone/2011/10/BootConfiguration), merged into a store. Partitions that the XML names are resolved against the
// image's real partition table.
#pragma once

#include <functional>
#include <optional>
#include <string_view>

#include "flash/bcd/store.hpp"

namespace imprint::bcd {

// The device of a partition by its name ("MMOS"), or nothing when the image has no such partition.
using PartitionResolver = std::function<std::optional<Device>(std::string_view name)>;

// Adds the XML's objects and elements to `store`, replacing elements that are there. `bcd.xml-malformed` (with line),
// `bcd.xml-unknown-name` (well-known type or object that is not known), `bcd.partition-unknown`.
[[nodiscard]] core::Status merge_boot_configuration(Store& store, std::string_view xml, std::string_view name,
                                                    const PartitionResolver& resolve);

}  // namespace imprint::bcd
