// SPDX-License-Identifier: GPL-3.0-or-later
// Which devices an image is for.
#include <algorithm>

#include "flash/ffu/errors.hpp"
#include "flash/ffu/format.hpp"
#include "flash/ffu/image.hpp"

namespace imprint::ffu {

std::vector<std::string> Image::platform_ids() const {
  std::vector<std::string> ids;
  for (const Store& store : stores) {
    for (const std::string& id : store.platform_ids) {
      if (std::ranges::find(ids, id) == ids.end()) ids.push_back(id);
    }
  }
  return ids;
}

bool is_platform_id(std::string_view text) {
  // A line's end in one would also be a line of the manifest of its own.
  return !text.empty() && std::ranges::all_of(text, [](char c) { return c >= ' ' && c <= '~'; });
}

core::Status check_platform_ids(std::span<const std::string> ids) {
  std::size_t bytes = 1;  // the list ends with an empty one
  for (const std::string& id : ids) {
    if (!is_platform_id(id)) return fail("ffu.platform-ids", "an id is empty or holds other than printable ASCII");
    bytes += id.size() + 1;
  }
  if (ids.empty() || bytes > format::kPlatformIdBytes)
    return fail("ffu.platform-ids", "the list is empty or longer than 191 bytes").with("actual", bytes);
  return {};
}

bool platform_matches(std::span<const std::string> image_ids, std::string_view device_id) {
  const auto split = [](std::string_view text) {
    std::vector<std::string_view> parts;
    for (std::size_t start = 0; start <= text.size();) {
      const std::size_t end = std::min(text.find('.', start), text.size());
      parts.push_back(text.substr(start, end - start));
      start = end + 1;
    }
    return parts;
  };
  const auto device = split(device_id);
  return std::ranges::any_of(image_ids, [&](const std::string& id) {
    if (id == "*" || id == device_id) return true;
    const auto wanted = split(id);
    // Manufacturer.Family.Product without a version fits every version.
    if (wanted.size() < 3 || device.size() < wanted.size() || (wanted.size() > 3 && device.size() != wanted.size()))
      return false;
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      if (wanted[i] != "*" && wanted[i] != device[i]) return false;
    }
    return true;
  });
}

}  // namespace imprint::ffu
