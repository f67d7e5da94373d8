// SPDX-License-Identifier: GPL-3.0-or-later
// Writes BCD stores as JSON.
#include "flash/inspect/bcd_json.hpp"

#include <fmt/format.h>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <variant>

#include "flash/core/text.hpp"
#include "flash/inspect/json_text.hpp"

namespace imprint::inspect {
namespace {

// Real stores nest one level; a store made in memory could nest without end.
constexpr int kDeepestDevice = 8;

boost::json::object device_to_json(const bcd::Device& device, int depth);

struct DeviceWriter {
  int depth;
  boost::json::object operator()(const bcd::BootDevice&) const { return {{"kind", "boot"}}; }
  boost::json::object operator()(const bcd::GptPartition& partition) const {
    return {{"kind", "gpt-partition"}, {"disk", partition.disk.braced()}, {"partition", partition.partition.braced()}};
  }
  boost::json::object operator()(const bcd::MbrPartition& partition) const {
    return {{"kind", "mbr-partition"},
            {"signature", fmt::format("0x{:08x}", partition.signature)},
            {"offset", partition.offset}};
  }
  boost::json::object operator()(const bcd::Ramdisk& ramdisk) const {
    boost::json::object out{{"kind", "ramdisk"}, {"path", json_safe(ramdisk.path)}};
    if (ramdisk.parent && depth < kDeepestDevice) {
      out["parent"] = device_to_json(*ramdisk.parent, depth + 1);
    } else {
      out["parent"] = nullptr;
    }
    return out;
  }
  boost::json::object operator()(const bcd::Locate& locate) const {
    return {{"kind", "locate"}, {"element", fmt::format("{:08x}", locate.element)}};
  }
  boost::json::object operator()(const bcd::UnknownDevice& unknown) const {
    return {{"kind", "unknown"}, {"type", unknown.type}, {"bytes", core::to_hex(unknown.bytes)}};
  }
};

boost::json::object device_to_json(const bcd::Device& device, int depth) {
  boost::json::object out = std::visit(DeviceWriter{depth}, device.kind);
  if (!device.options.is_zero()) out["options"] = device.options.braced();
  return out;
}

struct ValueWriter {
  boost::json::value operator()(const bcd::Device& device) const { return device_to_json(device, 0); }
  boost::json::value operator()(const std::string& text) const { return boost::json::value(json_safe(text)); }
  boost::json::value operator()(const core::Guid& id) const { return boost::json::value(id.braced()); }
  boost::json::value operator()(const std::vector<core::Guid>& ids) const {
    boost::json::array out;
    for (const core::Guid& id : ids) out.emplace_back(id.braced());
    return out;
  }
  boost::json::value operator()(std::uint64_t number) const { return boost::json::value(number); }
  boost::json::value operator()(bool flag) const { return boost::json::value(flag); }
  boost::json::value operator()(const std::vector<std::uint64_t>& numbers) const {
    boost::json::array out;
    for (const std::uint64_t number : numbers) out.emplace_back(number);
    return out;
  }
  boost::json::value operator()(const core::ByteBuffer& bytes) const {
    return boost::json::object{{"bytes", core::to_hex(bytes)}};
  }
};

boost::json::object object_to_json(const bcd::Object& object) {
  boost::json::array elements;
  elements.reserve(object.elements.size());
  for (const bcd::Element& element : object.elements) {
    elements.emplace_back(boost::json::object{{"id", fmt::format("{:08x}", element.id)},
                                              {"name", bcd::element_name(element.id)},
                                              {"value", std::visit(ValueWriter{}, element.value)}});
  }
  return {{"id", object.id.braced()},
          {"type", fmt::format("0x{:08x}", object.type)},
          {"name", bcd::object_name(object.id)},
          {"elements", std::move(elements)}};
}

}  // namespace

std::string to_json(const bcd::Store& store, const Report* expectations) {
  boost::json::object out;
  if (expectations != nullptr) {
    out["verdict"] = to_string(expectations->verdict());
    out["findings"] = findings_to_json(*expectations);
  }
  boost::json::array list;
  list.reserve(store.objects().size());
  for (const bcd::Object& object : store.objects()) list.emplace_back(object_to_json(object));
  out["objects"] = std::move(list);
  return serialize_by_line(out, "objects");
}

}  // namespace imprint::inspect
