// SPDX-License-Identifier: GPL-3.0-or-later
// The decision as JSON.
#include "station/images/image_record.hpp"

#include <algorithm>
#include <boost/json.hpp>
#include <limits>

#include "flash/core/text.hpp"
#include "station/images/errors.hpp"

namespace imprint::station::images {
namespace {

namespace json = boost::json;

constexpr std::int64_t kVersion = 1;
constexpr std::size_t kDigestDigits = 64;

bool is_digest(std::string_view text) {
  return text.size() == kDigestDigits &&
         std::ranges::all_of(text, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

// Takes fields out of an object, and remembers when one was not as it has to be.
class Fields {
 public:
  explicit Fields(const json::object& object) : object_(object) {}
  [[nodiscard]] std::string text(std::string_view key) {
    const json::value* value = object_.if_contains(key);
    if (value == nullptr || !value->is_string()) {
      good_ = false;
      return {};
    }
    return std::string(value->as_string());
  }
  [[nodiscard]] std::uint64_t number(std::string_view key) {
    const json::value* value = object_.if_contains(key);
    if (value != nullptr && value->is_uint64()) return value->as_uint64();
    if (value != nullptr && value->is_int64() && value->as_int64() >= 0)
      return static_cast<std::uint64_t>(value->as_int64());
    good_ = false;
    return 0;
  }
  [[nodiscard]] std::vector<std::string> texts(std::string_view key) {
    std::vector<std::string> out;
    const json::value* value = object_.if_contains(key);
    good_ = good_ && value != nullptr && value->is_array();
    if (!good_) return out;
    for (const json::value& one : value->as_array()) {
      good_ = good_ && one.is_string();
      if (one.is_string()) out.emplace_back(one.as_string());
    }
    return out;
  }
  void expect(bool holds) { good_ = good_ && holds; }
  [[nodiscard]] bool good() const { return good_; }

 private:
  const json::object& object_;
  bool good_ = true;
};

json::value withdrawal_json(const std::optional<Withdrawal>& withdrawn) {
  if (!withdrawn) return nullptr;
  return json::object{{"at", withdrawn->at}, {"by", withdrawn->by}, {"reason", withdrawn->reason}};
}

}  // namespace

std::string_view to_string(CopiedBy how) { return how == CopiedBy::reflink ? "reflink" : "copy"; }
std::string_view to_string(SealedBy how) { return how == SealedBy::fs_verity ? "fs-verity" : "not sealed"; }

std::string to_json(const ImageRecord& record) {
  json::array platforms;
  for (const std::string& id : record.platform_ids) platforms.emplace_back(id);
  return json::serialize(json::object{{"version", kVersion},
                                      {"digest", record.digest},
                                      {"size", record.size},
                                      {"name", record.name},
                                      {"admitted_at", record.admitted_at},
                                      {"policy", trust::to_string(record.policy)},
                                      {"signer", record.signer},
                                      {"signer_sha256", record.signer_sha256},
                                      {"root", record.root},
                                      {"table_digest", record.table_digest},
                                      {"trust_digest", record.trust_digest},
                                      {"platform_ids", std::move(platforms)},
                                      {"copied_by", to_string(record.copied_by)},
                                      {"sealed_by", to_string(record.sealed_by)},
                                      {"withdrawn", withdrawal_json(record.withdrawn)}});
}

core::Result<ImageRecord> parse_image_record(std::string_view text) {
  boost::system::error_code error;
  const json::value parsed = json::parse(json::string_view(text.data(), text.size()), error);
  if (error || !parsed.is_object()) return fail("store.record-damaged", "it is not a JSON object");
  Fields fields(parsed.as_object());
  ImageRecord record;
  fields.expect(fields.number("version") == static_cast<std::uint64_t>(kVersion));
  record.digest = fields.text("digest");
  fields.expect(is_digest(record.digest));
  record.size = fields.number("size");
  record.name = core::printable(fields.text("name"));
  record.admitted_at = core::printable(fields.text("admitted_at"));
  const auto policy = trust::parse_policy(fields.text("policy"));
  fields.expect(policy.has_value());
  record.policy = policy.value_or(trust::Policy::retail);
  record.signer = core::printable(fields.text("signer"));
  record.signer_sha256 = core::printable(fields.text("signer_sha256"));
  record.root = core::printable(fields.text("root"));
  record.table_digest = core::printable(fields.text("table_digest"));
  record.trust_digest = core::printable(fields.text("trust_digest"));
  for (const std::string& id : fields.texts("platform_ids")) record.platform_ids.push_back(core::printable(id));
  const std::string copied = fields.text("copied_by");
  fields.expect(copied == "reflink" || copied == "copy");
  record.copied_by = copied == "reflink" ? CopiedBy::reflink : CopiedBy::copying;
  const std::string sealed = fields.text("sealed_by");
  fields.expect(sealed == "fs-verity" || sealed == "not sealed");
  record.sealed_by = sealed == "fs-verity" ? SealedBy::fs_verity : SealedBy::nothing;
  const json::value* withdrawn = parsed.as_object().if_contains("withdrawn");
  // Not there is not the same as null: a record that lost it must not make the image good again.
  fields.expect(withdrawn != nullptr && (withdrawn->is_null() || withdrawn->is_object()));
  if (fields.good() && withdrawn->is_object()) {
    Fields inner(withdrawn->as_object());
    record.withdrawn = Withdrawal{core::printable(inner.text("at")), core::printable(inner.text("by")),
                                  core::printable(inner.text("reason"))};
    fields.expect(inner.good());
  }
  if (!fields.good()) return fail("store.record-damaged", "a field is missing or has the wrong form");
  return record;
}

}  // namespace imprint::station::images
