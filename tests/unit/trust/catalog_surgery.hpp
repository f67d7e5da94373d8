// SPDX-License-Identifier: GPL-3.0-or-later
// Signed catalogs taken apart and put together otherwise, as somebody would who wants to deceive.
#pragma once

#include "flash/trust/catalog.hpp"
#include "flash/trust/der.hpp"
#include "flash/trust/signature.hpp"
#include "pki.hpp"

namespace imprint::trust::testing {

// Takes a signed catalog apart and puts it together again with other signer infos.
inline core::ByteBuffer with_signer_infos(core::ByteView catalog, auto change) {
  std::vector<core::ByteBuffer> fields;
  const auto outer = must(der::Reader(catalog, 0).next());
  der::Reader outer_reader(outer);
  const auto type = must(outer_reader.next());
  const auto holder = must(outer_reader.next());
  const auto data = must(der::Reader(holder).next());
  core::ByteBuffer content;
  for (der::Reader reader(data); !reader.at_end();) {
    const auto field = must(reader.next());
    core::ByteBuffer bytes(field.whole.begin(), field.whole.end());
    if (reader.at_end()) bytes = der::element(der::kSet, change(field.content));
    content.insert(content.end(), bytes.begin(), bytes.end());
  }
  return der::element(der::kSequence, {core::ByteBuffer(type.whole.begin(), type.whole.end()),
                                       der::element(der::kContext0, der::element(der::kSequence, content))});
}

inline core::ByteBuffer attribute(core::ByteView oid, core::ByteView value) {
  return der::element(der::kSequence, {core::ByteBuffer(oid.begin(), oid.end()), der::element(der::kSet, value)});
}

// The one signer's info with these unsigned attributes in place of its own.
inline core::ByteBuffer with_unsigned_attributes(core::ByteView catalog, core::ByteView attributes) {
  return with_signer_infos(catalog, [&](core::ByteView infos) {
    const auto info = must(der::Reader(infos, 0).next());
    core::ByteBuffer kept;
    for (der::Reader reader(info); !reader.at_end();) {
      const auto field = must(reader.next());
      if (field.tag != der::kContext1) kept.insert(kept.end(), field.whole.begin(), field.whole.end());
    }
    const auto added = der::element(der::kContext1, attributes);
    kept.insert(kept.end(), added.begin(), added.end());
    return der::element(der::kSequence, kept);
  });
}

// What a timestamp has to be of.
inline core::ByteBuffer signature_value(core::ByteView catalog) {
  const auto content = must(read_catalog(catalog));
  const auto signature = must(CatalogSignature::read(content));
  const auto value = signature.value();
  return {value.begin(), value.end()};
}

}  // namespace imprint::trust::testing
