// SPDX-License-Identifier: GPL-3.0-or-later
// Merging BootConfigurationDatabase XML into a store. Everything that is not understood is an error with its line: a
// setting that is silently left out shows only on the device. The attributes SaveKeyToRegistry, IncludeDescriptions and
// IncludeRegistryHeader steer a registry file that other tools write in between, and mean nothing here.
#include "flash/bcd/boot_configuration.hpp"

#include <array>
#include <charconv>

#include <fmt/format.h>

#include "flash/bcd/errors.hpp"
#include "flash/bcd/names.hpp"
#include "flash/bcd/registry_value.hpp"
#include "flash/bcd/xml_document.hpp"
#include "flash/core/text.hpp"

namespace imprint::bcd {
namespace {

constexpr std::string_view kNamespace = "http://schemas.microsoft.com/phone/2011/10/BootConfiguration";
constexpr int kMaxRamdiskNesting = 4;

struct TypedValue {
  Format format;
  Value value;
};

// Ids of objects and elements are hexadecimal with or without 0x.
std::optional<std::uint32_t> parse_id(std::string_view text) {
  text = core::trimmed(text);
  if (text.starts_with("0x") || text.starts_with("0X")) text.remove_prefix(2);
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// One file's merge. Elements are read into the store at once, so the caller gives a copy.
class Merge {
 public:
  Merge(const XmlDocument& xml, Store& store, const PartitionResolver& resolve)
      : xml_(xml), store_(store), resolve_(resolve) {}

  core::Status run() {
    const pugi::xml_node root = xml_.root();
    if (XmlDocument::local_name(root) != "BootConfigurationDatabase") {
      return xml_.fail_at("bcd.xml-malformed", root, "the root element is not BootConfigurationDatabase");
    }
    const std::string_view prefix =
        std::string_view(root.name())
            .substr(0, std::string_view(root.name()).size() - XmlDocument::local_name(root).size());
    const std::string attribute =
        prefix.empty() ? "xmlns" : fmt::format("xmlns:{}", prefix.substr(0, prefix.size() - 1));
    const pugi::xml_attribute declared = root.attribute(attribute.c_str());
    if (declared && declared.value() != kNamespace) {
      return xml_.fail_at("bcd.xml-malformed", root, "the namespace is not that of BootConfigurationDatabase");
    }
    IMPRINT_TRY(const auto lists, xml_.elements(root));
    for (const pugi::xml_node& list : lists) {
      if (XmlDocument::local_name(list) != "Objects") return unexpected(list);
      IMPRINT_TRY(const auto nodes, xml_.elements(list));
      for (const pugi::xml_node& node : nodes) {
        if (XmlDocument::local_name(node) != "Object") return unexpected(node);
        IMPRINT_CHECK(read_object(node));
      }
    }
    return {};
  }

 private:
  struct Parts {  // the children of an element, by name; each at most once
    std::vector<pugi::xml_node> nodes;
    [[nodiscard]] pugi::xml_node find(std::string_view name) const {
      for (const pugi::xml_node& node : nodes) {
        if (XmlDocument::local_name(node) == name) return node;
      }
      return {};
    }
  };

  core::Failure unexpected(const pugi::xml_node& node) const {
    return xml_.fail_at("bcd.xml-malformed", node,
                        fmt::format("{} does not belong here", core::printable(node.name())));
  }

  core::Result<Parts> parts(const pugi::xml_node& node, std::initializer_list<std::string_view> allowed) const {
    Parts out;
    IMPRINT_TRY(const auto children, xml_.elements(node));
    for (const pugi::xml_node& child : children) {
      if (std::find(allowed.begin(), allowed.end(), XmlDocument::local_name(child)) == allowed.end())
        return unexpected(child);
      if (out.find(XmlDocument::local_name(child))) {
        return xml_.fail_at("bcd.xml-malformed", child,
                            fmt::format("{} is there twice", XmlDocument::local_name(child)));
      }
      out.nodes.push_back(child);
    }
    return out;
  }

  core::Result<pugi::xml_node> required(const Parts& in, const pugi::xml_node& parent, std::string_view name) const {
    const pugi::xml_node node = in.find(name);
    if (!node)
      return xml_.fail_at("bcd.xml-malformed", parent,
                          fmt::format("{} has no {}", XmlDocument::local_name(parent), name));
    return node;
  }

  core::Failure invalid(const pugi::xml_node& node, std::string_view text, std::string_view wanted) const {
    return xml_.fail_at(
        "bcd.xml-value-invalid", node,
        fmt::format("{}: \"{}\" is not {}", XmlDocument::local_name(node), core::printable(text), wanted));
  }

  core::Result<core::Guid> guid(const pugi::xml_node& node) const {
    IMPRINT_TRY(const std::string text, xml_.text(node));
    const auto value = core::Guid::parse(core::trimmed(text));
    if (!value) return invalid(node, text, "a GUID");
    return *value;
  }

  core::Result<std::uint64_t> integer(const pugi::xml_node& node) const {
    IMPRINT_TRY(const std::string text, xml_.text(node));
    const auto value = core::parse_number(core::trimmed(text));
    if (!value) return invalid(node, text, "a number (decimal, or hexadecimal with 0x)");
    return *value;
  }

  core::Result<bool> boolean(const pugi::xml_node& node) const {
    IMPRINT_TRY(const std::string text, xml_.text(node));
    const std::string_view word = core::trimmed(text);
    if (core::equals_ignoring_case(word, "true") || word == "1") return true;
    if (core::equals_ignoring_case(word, "false") || word == "0") return false;
    return invalid(node, text, "true or false");
  }

  core::Result<core::Guid> object_reference(const pugi::xml_node& node) const {
    IMPRINT_TRY(const std::string text, xml_.text(node));
    const std::string_view name = core::trimmed(text);
    if (const auto id = core::Guid::parse(name)) return *id;
    if (const auto* declared = declared_object(name)) return declared->second;
    if (const KnownObject* known = object_of_schema_name(name))
      return core::Guid::parse(known->id).value_or(core::Guid{});
    return xml_.fail_at("bcd.xml-unknown-name", node, fmt::format("there is no object \"{}\"", core::printable(name)));
  }

  // Objects that this file gave an Id are referred to by their FriendlyName too.
  [[nodiscard]] const std::pair<std::string, core::Guid>* declared_object(std::string_view name) const {
    const std::string folded = folded_name(name);
    for (const auto& entry : declared_) {
      if (entry.first == folded) return &entry;
    }
    return nullptr;
  }

  core::Status read_object(const pugi::xml_node& node) {
    IMPRINT_TRY(const Parts in, parts(node, {"FriendlyName", "Id", "RawType", "Elements"}));
    const pugi::xml_node name_node = in.find("FriendlyName");
    IMPRINT_TRY(const std::string name, name_node ? xml_.text(name_node) : core::Result<std::string>(std::string()));
    const std::string_view friendly = core::trimmed(name);
    core::Guid id;
    std::uint32_t type = 0;
    const KnownObject* known = object_of_schema_name(friendly);
    if (const pugi::xml_node id_node = in.find("Id")) {
      IMPRINT_TRY(id, guid(id_node));
      known = known_object(id);
      if (!friendly.empty()) declared_.emplace_back(folded_name(friendly), id);
    } else if (known != nullptr) {
      id = core::Guid::parse(known->id).value_or(core::Guid{});
    } else if (name_node) {
      return xml_.fail_at("bcd.xml-unknown-name", name_node,
                          fmt::format("there is no object \"{}\"", core::printable(friendly)));
    } else {
      return xml_.fail_at("bcd.xml-malformed", node, "an Object has neither FriendlyName nor Id");
    }
    if (known != nullptr) type = known->type;
    if (const pugi::xml_node type_node = in.find("RawType")) {
      IMPRINT_TRY(const std::string text, xml_.text(type_node));
      const auto raw = parse_id(text);
      if (!raw || *raw == 0) return invalid(type_node, text, "an object type in hexadecimal");
      type = *raw;
    }
    if (type == 0 && store_.find(id) == nullptr) {
      return xml_.fail_at("bcd.xml-unknown-name", node,
                          fmt::format("the type of object {} is not known: it needs a RawType", id.braced()));
    }
    Object& object = store_.object(id, type);
    const pugi::xml_node list = in.find("Elements");
    if (!list) return {};
    IMPRINT_TRY(const auto elements, xml_.elements(list));
    for (const pugi::xml_node& element : elements) {
      if (XmlDocument::local_name(element) != "Element") return unexpected(element);
      IMPRINT_CHECK(read_element(element, object));
    }
    return {};
  }

  core::Status read_element(const pugi::xml_node& node, Object& object) {
    IMPRINT_TRY(const Parts in, parts(node, {"DataType", "ValueType"}));
    IMPRINT_TRY(const pugi::xml_node data_type, required(in, node, "DataType"));
    IMPRINT_TRY(const pugi::xml_node value_type, required(in, node, "ValueType"));
    IMPRINT_TRY(const pugi::xml_node value_node, xml_.only_element(value_type));
    IMPRINT_TRY(TypedValue value, read_value(value_node));
    IMPRINT_TRY(const std::uint32_t id, element_id(data_type, value.format));
    if (format_digit(id) != static_cast<std::uint32_t>(value.format)) {
      return xml_.fail_at(
          "bcd.xml-value-invalid", value_node,
          fmt::format("{} cannot be the value of element {:08x}", XmlDocument::local_name(value_node), id));
    }
    object.set(id, std::move(value.value));
    return {};
  }

  core::Result<std::uint32_t> element_id(const pugi::xml_node& data_type, Format format) const {
    IMPRINT_TRY(const pugi::xml_node kind, xml_.only_element(data_type));
    if (XmlDocument::local_name(kind) == "WellKnownType") {
      IMPRINT_TRY(const std::string name, xml_.text(kind));
      const auto id = element_of_schema_name(core::trimmed(name));
      if (!id) {
        return xml_.fail_at("bcd.xml-unknown-name", kind,
                            fmt::format("there is no element \"{}\"", core::printable(core::trimmed(name))));
      }
      return *id;
    }
    if (XmlDocument::local_name(kind) != "RawType") return unexpected(kind);
    IMPRINT_TRY(const Parts in, parts(kind, {"Class", "SubClass"}));
    IMPRINT_TRY(const pugi::xml_node class_node, required(in, kind, "Class"));
    IMPRINT_TRY(const pugi::xml_node subclass_node, required(in, kind, "SubClass"));
    IMPRINT_TRY(const std::string class_text, xml_.text(class_node));
    IMPRINT_TRY(const std::string subclass_text, xml_.text(subclass_node));
    constexpr std::array<std::string_view, 5> kClasses = {"Library", "Application", "Device", "SetupTemplate", "OEM"};
    const auto element_class = std::find_if(kClasses.begin(), kClasses.end(), [&](std::string_view name) {
      return core::equals_ignoring_case(name, core::trimmed(class_text));
    });
    if (element_class == kClasses.end()) {
      return invalid(class_node, class_text, "Library, Application, Device, SetupTemplate or OEM");
    }
    const auto subclass = parse_id(subclass_text);
    if (!subclass || *subclass > 0xFFFFFF)
      return invalid(subclass_node, subclass_text, "a hexadecimal number of up to 24 bits");
    const auto class_digit = static_cast<std::uint32_t>(element_class - kClasses.begin() + 1);
    return class_digit << 28 | static_cast<std::uint32_t>(format) << 24 | *subclass;
  }

  core::Result<std::vector<pugi::xml_node>> list_items(const pugi::xml_node& node) const {
    IMPRINT_TRY(const pugi::xml_node list, xml_.only_element(node));
    if (XmlDocument::local_name(list) != "StringValues") return unexpected(list);
    IMPRINT_TRY(auto items, xml_.elements(list));
    for (const pugi::xml_node& item : items) {
      if (XmlDocument::local_name(item) != "StringValue") return unexpected(item);
    }
    return items;
  }

  core::Result<TypedValue> read_value(const pugi::xml_node& node) const {
    const std::string_view kind = XmlDocument::local_name(node);
    if (kind == "StringValue") {
      IMPRINT_TRY(std::string text, xml_.text(node));
      return TypedValue{Format::string, std::move(text)};
    }
    if (kind == "BooleanValue") {
      IMPRINT_TRY(const bool value, boolean(node));
      return TypedValue{Format::boolean, value};
    }
    if (kind == "IntegerValue") {
      IMPRINT_TRY(const std::uint64_t value, integer(node));
      return TypedValue{Format::integer, value};
    }
    if (kind == "ObjectValue") {
      IMPRINT_TRY(const core::Guid value, object_reference(node));
      return TypedValue{Format::object, value};
    }
    if (kind == "DeviceValue") {
      IMPRINT_TRY(Device device, read_device(node, 0));
      return TypedValue{Format::device, std::move(device)};
    }
    return read_list(node);
  }

  core::Result<TypedValue> read_list(const pugi::xml_node& node) const {
    if (XmlDocument::local_name(node) == "IntegerListValue") {
      IMPRINT_TRY(const auto items, list_items(node));
      std::vector<std::uint64_t> values;
      for (const pugi::xml_node& item : items) {
        IMPRINT_TRY(const std::uint64_t value, integer(item));
        values.push_back(value);
      }
      return TypedValue{Format::integer_list, std::move(values)};
    }
    if (XmlDocument::local_name(node) == "ObjectListValue") {
      IMPRINT_TRY(const auto items, list_items(node));
      std::vector<core::Guid> values;
      for (const pugi::xml_node& item : items) {
        IMPRINT_TRY(const core::Guid value, object_reference(item));
        values.push_back(value);
      }
      return TypedValue{Format::object_list, std::move(values)};
    }
    return unexpected(node);
  }

  // `node` is a DeviceValue or a ParentDevice: both hold one device.
  core::Result<Device> read_device(const pugi::xml_node& node, int nesting) const {
    IMPRINT_TRY(const pugi::xml_node device, xml_.only_element(node));
    if (nesting > kMaxRamdiskNesting)
      return xml_.fail_at("bcd.xml-value-invalid", device, "RAM disks are nested too deep");
    if (XmlDocument::local_name(device) == "GPTDevice") return gpt_device(device);
    if (XmlDocument::local_name(device) == "MBRDevice") return mbr_device(device);
    if (XmlDocument::local_name(device) == "RamdiskDevice") return ramdisk_device(device, nesting);
    if (XmlDocument::local_name(device) == "BootDevice") return Device{core::Guid{}, BootDevice{}};
    return unexpected(device);
  }

  core::Result<Device> resolved(const pugi::xml_node& node) const {
    IMPRINT_TRY(const std::string text, xml_.text(node));
    const std::string name(core::trimmed(text));
    auto device = resolve_ ? resolve_(name) : std::nullopt;
    if (!device) return xml_.fail_at("bcd.partition-unknown", node, core::printable(name));
    return std::move(*device);
  }

  core::Result<Device> gpt_device(const pugi::xml_node& node) const {
    IMPRINT_TRY(const Parts in, parts(node, {"DiskId", "Partition"}));
    IMPRINT_TRY(const pugi::xml_node disk_node, required(in, node, "DiskId"));
    IMPRINT_TRY(const core::Guid disk, guid(disk_node));
    IMPRINT_TRY(const pugi::xml_node partition, required(in, node, "Partition"));
    IMPRINT_TRY(const pugi::xml_node by, xml_.only_element(partition));
    if (XmlDocument::local_name(by) == "Id") {
      IMPRINT_TRY(const core::Guid id, guid(by));
      return Device{core::Guid{}, GptPartition{disk, id}};
    }
    if (XmlDocument::local_name(by) != "Name") return unexpected(by);
    IMPRINT_TRY(Device device, resolved(by));
    if (!std::holds_alternative<GptPartition>(device.kind)) {
      return xml_.fail_at("bcd.xml-value-invalid", by,
                          "a GPTDevice is named, and the partition does not lie on a GPT disk");
    }
    return device;
  }

  core::Result<Device> mbr_device(const pugi::xml_node& node) const {
    IMPRINT_TRY(const Parts in, parts(node, {"DiskSignature", "PartitionName"}));
    IMPRINT_TRY(const pugi::xml_node signature_node, required(in, node, "DiskSignature"));
    IMPRINT_TRY(const std::uint64_t signature, integer(signature_node));
    if (signature > 0xFFFFFFFF) return invalid(signature_node, std::to_string(signature), "a number of 32 bits");
    IMPRINT_TRY(const pugi::xml_node name, required(in, node, "PartitionName"));
    IMPRINT_TRY(Device device, resolved(name));
    if (!std::holds_alternative<MbrPartition>(device.kind)) {
      return xml_.fail_at("bcd.xml-value-invalid", name,
                          "an MBRDevice is named, and the partition does not lie on an MBR disk");
    }
    return device;
  }

  core::Result<Device> ramdisk_device(const pugi::xml_node& node, int nesting) const {
    IMPRINT_TRY(const Parts in, parts(node, {"ParentDevice", "FilePath", "RamdiskOptions"}));
    IMPRINT_TRY(const pugi::xml_node parent_node, required(in, node, "ParentDevice"));
    IMPRINT_TRY(Device parent, read_device(parent_node, nesting + 1));
    IMPRINT_TRY(const pugi::xml_node path_node, required(in, node, "FilePath"));
    IMPRINT_TRY(std::string path, xml_.text(path_node));
    if (core::trimmed(path).empty()) return invalid(path_node, path, "a path on the device");
    Device out;
    if (const pugi::xml_node options = in.find("RamdiskOptions")) {
      IMPRINT_TRY(const bool wanted, boolean(options));
      if (wanted) out.options = objects::ramdisk_options();
    }
    out.kind = Ramdisk{std::make_shared<const Device>(std::move(parent)), std::string(core::trimmed(path))};
    return out;
  }

  const XmlDocument& xml_;
  Store& store_;
  const PartitionResolver& resolve_;
  std::vector<std::pair<std::string, core::Guid>> declared_;
};

}  // namespace

core::Status merge_boot_configuration(Store& store, std::string_view xml, std::string_view name,
                                      const PartitionResolver& resolve) {
  IMPRINT_TRY(const XmlDocument document, XmlDocument::parse(xml, name));
  Store merged = store;
  IMPRINT_CHECK(Merge(document, merged, resolve).run());
  store = std::move(merged);
  return {};
}

}  // namespace imprint::bcd
