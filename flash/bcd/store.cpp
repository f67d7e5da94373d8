// SPDX-License-Identifier: GPL-3.0-or-later
// The store as values: finding, setting and inheriting elements, and the tree of keys that a store is written as.
#include "flash/bcd/store.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "flash/bcd/errors.hpp"
#include "flash/bcd/hive.hpp"
#include "flash/core/text.hpp"

namespace imprint::bcd {
namespace {

constexpr std::uint32_t kInherit = 0x14000006;
// Real stores inherit over two levels. The bound keeps a store that was made to be deep from costing stack.
constexpr int kMaxInheritance = 16;

// The order of printed GUIDs, without printing them: the first three fields are stored with their bytes reversed.
std::array<std::uint8_t, 16> printed_order(const core::Guid& id) {
  std::array<std::uint8_t, 16> bytes = id.mixed_endian();
  std::reverse(bytes.begin(), bytes.begin() + 4);
  std::reverse(bytes.begin() + 4, bytes.begin() + 6);
  std::reverse(bytes.begin() + 6, bytes.begin() + 8);
  return bytes;
}

template <class Objects>
auto position_of(Objects& objects, const core::Guid& id) {
  return std::ranges::lower_bound(objects, printed_order(id), {},
                                  [](const Object& object) { return printed_order(object.id); });
}

const Element* inherited(const Store& store, const core::Guid& id, std::uint32_t element_id, int depth,
                         std::vector<core::Guid>& visited) {
  if (depth > kMaxInheritance || std::ranges::find(visited, id) != visited.end()) return nullptr;
  visited.push_back(id);
  const Object* object = store.find(id);
  if (object == nullptr) return nullptr;
  if (const Element* own = object->find(element_id)) return own;
  const Element* parents = object->find(kInherit);
  const auto* list = parents == nullptr ? nullptr : std::get_if<std::vector<core::Guid>>(&parents->value);
  if (list == nullptr) return nullptr;
  for (const core::Guid& parent : *list) {
    if (const Element* found = inherited(store, parent, element_id, depth + 1, visited)) return found;
  }
  return nullptr;
}

RegistryValue dword(std::uint32_t value) {
  RegistryValue out{kRegDword, core::ByteBuffer(4)};
  core::store_le(out.bytes.data(), value);
  return out;
}

core::Result<HiveKey> object_key(const Object& object) {
  HiveKey key{object.id.braced(), {}, {}};
  key.subkeys.push_back({"Description", {{"Type", dword(object.type)}}, {}});
  HiveKey elements{"Elements", {}, {}};
  for (const Element& element : object.elements) {
    auto value = encode_element(element);
    const std::string name = fmt::format("{:08x}", element.id);
    if (!value) {
      value.error().add_context("object", key.name);
      value.error().add_context("element", name);
      return std::unexpected(std::move(value).error());
    }
    if (value->bytes.size() > kMaxValueSize) {
      return fail("bcd.write-failed", "a value is too large").with("object", key.name).with("element", name);
    }
    elements.subkeys.push_back({name, {{"Element", std::move(*value)}}, {}});
  }
  std::ranges::sort(elements.subkeys, {}, &HiveKey::name);
  if (elements.subkeys.size() > kMaxElementsOfObject ||
      std::ranges::adjacent_find(elements.subkeys, {}, &HiveKey::name) != elements.subkeys.end()) {
    return fail("bcd.write-failed", "an object has too many elements, or one of them twice").with("object", key.name);
  }
  key.subkeys.push_back(std::move(elements));
  return key;
}

}  // namespace

// Elements can be changed from outside, so their order is not relied on here.
const Element* Object::find(std::uint32_t element_id) const {
  const auto position = std::ranges::find(elements, element_id, &Element::id);
  return position == elements.end() ? nullptr : &*position;
}

void Object::set(std::uint32_t element_id, Value value) {
  const auto same = std::ranges::find(elements, element_id, &Element::id);
  if (same != elements.end()) {
    *same = Element{element_id, std::move(value)};
    return;
  }
  const auto after = std::ranges::find_if(elements, [&](const Element& element) { return element.id > element_id; });
  elements.insert(after, Element{element_id, std::move(value)});
}

core::Result<Store> Store::read(core::ByteView hive) {
  Store store;
  IMPRINT_TRY(store.objects_, read_hive(hive));
  return store;
}

core::Result<core::ByteBuffer> Store::to_hive() const {
  if (objects_.size() > kMaxObjects) return fail("bcd.write-failed", "the store has too many objects");
  HiveKey description{"Description", {}, {}};
  IMPRINT_TRY(auto key_name, registry_string("BCD00000000"));
  description.values.push_back({"KeyName", {kRegSz, std::move(key_name)}});
  description.values.push_back({"System", dword(1)});
  description.values.push_back({"TreatAsSystem", dword(1)});
  HiveKey list{"Objects", {}, {}};
  std::uint64_t total = 0;
  for (const Object& object : objects_) {
    IMPRINT_TRY(auto key, object_key(object));
    for (const HiveKey& element : key.subkeys.back().subkeys) total += 256 + element.values.front().data.bytes.size();
    total += 1024;
    list.subkeys.push_back(std::move(key));
  }
  // An upper bound of what the cells take, so that no store is written which would be refused when it is read.
  if (total > kMaxHiveSize / 2) return fail("bcd.write-failed", "the store is too large");
  HiveKey root{"NewStoreRoot", {}, {}};
  root.subkeys.push_back(std::move(description));
  root.subkeys.push_back(std::move(list));
  return write_hive(root);
}

const Object* Store::find(const core::Guid& id) const {
  const auto position = position_of(objects_, id);
  return position != objects_.end() && position->id == id ? &*position : nullptr;
}

Object& Store::object(const core::Guid& id, std::uint32_t type) {
  const auto position = position_of(objects_, id);
  if (position != objects_.end() && position->id == id) return *position;
  return *objects_.insert(position, Object{id, type, {}});
}

const Element* Store::find_inherited(const core::Guid& id, std::uint32_t element_id) const {
  std::vector<core::Guid> visited;
  return inherited(*this, id, element_id, 0, visited);
}

}  // namespace imprint::bcd
