// SPDX-License-Identifier: GPL-3.0-or-later
// Takes a pkcs11 URI apart. Errors name attributes and offsets only: somebody may have put a PIN into the text.
#include "flash/trust/pkcs11_uri.hpp"

#include <algorithm>
#include <utility>

#include "flash/core/text.hpp"
#include "flash/trust/errors.hpp"

namespace imprint::trust {
namespace {

constexpr std::string_view kScheme = "pkcs11:";
constexpr std::size_t kMaxLength = 4096;

core::Failure malformed(std::string detail, std::size_t offset) {
  return fail("sign.uri-malformed", std::move(detail)).with("offset", offset);
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

core::Result<core::ByteBuffer> percent_decoded(std::string_view text, std::size_t offset) {
  core::ByteBuffer out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c <= ' ' || c > '~') return malformed("a character that has to be percent-encoded", offset + i);
    if (c != '%') {
      out.push_back(static_cast<std::uint8_t>(c));
      continue;
    }
    const int high = i + 1 < text.size() ? hex_digit(text[i + 1]) : -1;
    const int low = i + 2 < text.size() ? hex_digit(text[i + 2]) : -1;
    if (high < 0 || low < 0) return malformed("a percent sign without two hexadecimal digits", offset + i);
    out.push_back(static_cast<std::uint8_t>(high * 16 + low));
    i += 2;
  }
  return out;
}

struct Attribute {
  std::string_view name;
  core::ByteBuffer value;
  std::size_t offset = 0;
  [[nodiscard]] std::string text() const { return std::string(core::as_text(value)); }
};

core::Failure bad_value(const Attribute& attribute, std::string_view what) {
  return malformed(std::string(attribute.name) + ": " + std::string(what), attribute.offset);
}

core::Status check_text(const Attribute& attribute) {
  if (attribute.value.empty()) return bad_value(attribute, "the value is empty");
  if (std::ranges::find(attribute.value, 0) != attribute.value.end())
    return bad_value(attribute, "there is a NUL in it");
  return {};
}

template <class T>
core::Status set_once(std::optional<T>& field, T value, const Attribute& attribute) {
  if (field) return bad_value(attribute, "it is given twice");
  field = std::move(value);
  return {};
}

core::Result<std::uint64_t> slot_number(const Attribute& attribute) {
  const std::string text = attribute.text();
  const bool decimal = text.find_first_not_of("0123456789") == std::string::npos;
  const auto number = decimal ? core::parse_number(text) : std::nullopt;
  if (!number) return bad_value(attribute, "it is no decimal number");
  return *number;
}

core::Status set_path_attribute(Pkcs11Uri& uri, const Attribute& attribute) {
  const std::string_view name = attribute.name;
  if (name == "id") {
    if (attribute.value.empty()) return bad_value(attribute, "the value is empty");
    return set_once(uri.id, attribute.value, attribute);
  }
  IMPRINT_CHECK(check_text(attribute));
  if (name == "token") return set_once(uri.token, attribute.text(), attribute);
  if (name == "manufacturer") return set_once(uri.manufacturer, attribute.text(), attribute);
  if (name == "model") return set_once(uri.model, attribute.text(), attribute);
  if (name == "serial") return set_once(uri.serial, attribute.text(), attribute);
  if (name == "object") return set_once(uri.object, attribute.text(), attribute);
  if (name == "slot-id") {
    IMPRINT_TRY(const std::uint64_t number, slot_number(attribute));
    return set_once(uri.slot_id, number, attribute);
  }
  if (name == "type") {
    if (attribute.text() != "private") return bad_value(attribute, "only private keys can sign");
    return {};
  }
  return malformed("an attribute of the path is not supported: " + core::printable(name), attribute.offset);
}

// Only "file:" and a path, or the path alone: a program that prints the PIN would run with this process's rights.
core::Result<std::filesystem::path> source_file(const Attribute& attribute) {
  std::string text = attribute.text();
  if (core::to_lower_ascii(text.substr(0, 5)) == "file:") {
    text.erase(0, 5);
    if (text.starts_with("//")) text.erase(0, 2);
  }
  if (!text.starts_with('/')) return bad_value(attribute, "it is no file: with an absolute path");
  return std::filesystem::path(text);
}

core::Status set_query_attribute(Pkcs11Uri& uri, const Attribute& attribute) {
  IMPRINT_CHECK(check_text(attribute));
  const std::string_view name = attribute.name;
  if (name == "pin-source") {
    IMPRINT_TRY(std::filesystem::path file, source_file(attribute));
    return set_once(uri.pin_source, std::move(file), attribute);
  }
  if (name == "module-path") {
    std::filesystem::path path(attribute.text());
    if (!path.is_absolute()) return bad_value(attribute, "it is no absolute path");
    return set_once(uri.module_path, std::move(path), attribute);
  }
  if (name == "module-name") {
    if (attribute.text().find('/') != std::string::npos) return bad_value(attribute, "there is a slash in it");
    return set_once(uri.module_name, attribute.text(), attribute);
  }
  return malformed("an attribute of the query is not supported: " + core::printable(name), attribute.offset);
}

using SetAttribute = core::Status (*)(Pkcs11Uri&, const Attribute&);

core::Status read_attributes(std::string_view part, char separator, std::size_t offset, SetAttribute set,
                             Pkcs11Uri& uri) {
  for (std::size_t start = 0; start < part.size();) {
    const std::size_t end = std::min(part.find(separator, start), part.size());
    const std::string_view piece = part.substr(start, end - start);
    const std::size_t equals = piece.find('=');
    if (equals == std::string_view::npos || equals == 0) return malformed("no name=value", offset + start);
    const std::size_t value_offset = offset + start + equals + 1;
    IMPRINT_TRY(core::ByteBuffer value, percent_decoded(piece.substr(equals + 1), value_offset));
    IMPRINT_CHECK(set(uri, {piece.substr(0, equals), std::move(value), offset + start}));
    start = end + 1;
    if (start == part.size()) return malformed("no name=value", offset + start);
  }
  return {};
}

}  // namespace

bool is_pkcs11_uri(std::string_view text) {
  return text.size() >= kScheme.size() && core::equals_ignoring_case(text.substr(0, kScheme.size()), kScheme);
}

core::Result<Pkcs11Uri> Pkcs11Uri::parse(std::string_view uri) {
  if (!is_pkcs11_uri(uri)) return malformed("it does not begin with pkcs11:", 0);
  if (uri.size() > kMaxLength) return malformed("it is too long", kMaxLength);
  // First of all, wherever it stands, so that no other error comes before the one that matters.
  if (const auto at = core::to_lower_ascii(uri).find("pin-value"); at != std::string::npos) {
    return fail("sign.pin-in-uri").with("offset", at);
  }
  const std::size_t question = std::min(uri.find('?'), uri.size());
  const std::string_view path = uri.substr(kScheme.size(), question - kScheme.size());
  Pkcs11Uri out;
  IMPRINT_CHECK(read_attributes(path, ';', kScheme.size(), set_path_attribute, out));
  if (question < uri.size()) {
    IMPRINT_CHECK(read_attributes(uri.substr(question + 1), '&', question + 1, set_query_attribute, out));
  }
  if (out.module_path && out.module_name) return malformed("module-path and module-name exclude each other", question);
  return out;
}

}  // namespace imprint::trust
