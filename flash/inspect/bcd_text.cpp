// SPDX-License-Identifier: GPL-3.0-or-later
// Writes BCD stores as text.
#include "flash/inspect/bcd_text.hpp"

#include <fmt/format.h>

#include "flash/core/text.hpp"
#include "flash/inspect/bcd_rules.hpp"

namespace imprint::inspect {
namespace {

std::string reference(const core::Guid& id) {
  const auto name = bcd::object_name(id);
  return name.empty() ? id.braced() : fmt::format("{} {}", id.braced(), name);
}

struct ValueText {
  std::string operator()(const bcd::Device& device) const {
    return describe(device) + (device.options.is_zero() ? "" : ", options " + reference(device.options));
  }
  std::string operator()(const std::string& text) const { return text; }
  std::string operator()(const core::Guid& id) const { return reference(id); }
  std::string operator()(const std::vector<core::Guid>& ids) const {
    std::string out;
    for (const core::Guid& id : ids) out += (out.empty() ? "" : ", ") + reference(id);
    return out;
  }
  std::string operator()(std::uint64_t number) const { return std::to_string(number); }
  std::string operator()(bool flag) const { return flag ? "yes" : "no"; }
  std::string operator()(const std::vector<std::uint64_t>& numbers) const {
    std::string out;
    for (const std::uint64_t number : numbers) out += (out.empty() ? "" : ", ") + std::to_string(number);
    return out;
  }
  std::string operator()(const core::ByteBuffer& bytes) const { return "bytes " + core::to_hex(bytes); }
};

}  // namespace

std::string to_text(const bcd::Store& store) {
  std::string out;
  for (const bcd::Object& object : store.objects()) {
    out += fmt::format("{}{}  type 0x{:08x}\n", out.empty() ? "" : "\n", core::printable(reference(object.id)),
                       object.type);
    for (const bcd::Element& element : object.elements) {
      const auto name = bcd::element_name(element.id);
      const std::string label = name.empty() ? fmt::format("{:08x}", element.id) : std::string(name);
      out += fmt::format("  {:<24} {}\n", label, core::printable(std::visit(ValueText{}, element.value)));
    }
  }
  return out;
}

}  // namespace imprint::inspect
