// SPDX-License-Identifier: GPL-3.0-or-later
// The chain is read from the file; nothing of it is taken from a daemon.
#include "station/cli/audit_proof.hpp"

#include <fmt/format.h>

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "db/chain.hpp"
#include "flash/core/block_io.hpp"
#include "flash/core/text.hpp"
#include "station/daemon/head_key.hpp"
#include "station/errors.hpp"

namespace imprint::station::cli {
namespace {

namespace json = boost::json;

constexpr std::uint64_t kMostHeadBytes = 65536;

core::Result<std::string> content_of(const std::filesystem::path& path) {
  IMPRINT_TRY(const auto file, core::FileSource::open(path));
  if (file->size() > kMostHeadBytes) return fail("usage.invalid", "the file is too long").with("file", path.native());
  IMPRINT_TRY(const auto bytes, file->read(0, file->size()));
  std::string content(core::as_text(bytes));
  while (content.ends_with('\n')) content.pop_back();
  return content;
}

core::Status check_signature(const ProofOptions& options, const std::optional<KeptHead>& head) {
  if (!options.key) return {};
  if (!head || head->signature.empty())
    return fail("usage.invalid", "a key needs a head with its signature: --head @FILE of audit head --json");
  IMPRINT_TRY(const bool good, daemon::HeadKey::verify(*options.key, head->text, head->signature));
  if (!good) return fail("report.head-not-signed").with("key", options.key->native());
  return {};
}

json::object to_json(const db::ChainReport& report) {
  json::object out{{"good", !report.broken.has_value()},  {"entries", report.entries}, {"rows", report.rows},
                   {"before_chain", report.before_chain}, {"retired", report.retired}, {"head", report.head}};
  out["broken"] = nullptr;
  if (report.broken)
    out["broken"] = json::object{{"fault", db::to_string(report.broken->fault)},
                                 {"entry", report.broken->seq},
                                 {"table", report.broken->table},
                                 {"row", report.broken->row}};
  return out;
}

core::Result<json::object> prove(const ProofOptions& options, const std::optional<KeptHead>& head) {
  std::optional<db::ChainHead> exported;
  if (head) {
    IMPRINT_TRY(exported, db::parse_chain_head(head->text));
  }
  IMPRINT_TRY(const auto records, db::Records::open_read_only(options.database));
  IMPRINT_CHECK(records->check_integrity());
  IMPRINT_TRY(const auto report, db::Chain(*records).verify(exported));
  return to_json(report);
}

// The last lines of a printed shift report, typed into a file: the head with line breaks in it, and the signature. A
// head has no blanks, so whatever stands between is the paper's.
std::optional<KeptHead> read_sheet(std::string_view text) {
  std::string joined;
  for (const char c : text)
    if (c != ' ' && c != '\n' && c != '\r' && c != '\t') joined += c;
  const std::size_t end = joined.find('}');
  if (!joined.starts_with(R"({"format":"imprint-chain-head")") || end == std::string::npos) return std::nullopt;
  return KeptHead{joined.substr(0, end + 1), joined.substr(end + 1)};
}

}  // namespace

core::Result<KeptHead> read_head(const std::string& text) {
  KeptHead head{text, {}};
  if (text.starts_with('@')) {
    IMPRINT_TRY(head.text, content_of(text.substr(1)));
  }
  if (auto sheet = read_sheet(head.text)) return std::move(*sheet);
  boost::system::error_code error;
  const json::value value = json::parse(head.text, error);
  if (error || !value.is_object()) return head;
  // A shift's report has the object under a name of its own.
  const json::value* within = value.get_object().if_contains("head");
  const json::object& from = within != nullptr && within->is_object() ? within->get_object() : value.get_object();
  const json::value* inner = from.if_contains("head");
  const json::value* signature = from.if_contains("signature");
  // A head itself is an object with a member of that name, too, and has none for a signature.
  if (inner == nullptr || signature == nullptr || !inner->is_string() || !signature->is_string()) return head;
  return KeptHead{std::string(inner->get_string()), std::string(signature->get_string())};
}

ExitStatus prove_records(const ProofOptions& options, const StationOptions& station) {
  std::optional<KeptHead> head;
  if (options.head) {
    auto read = read_head(*options.head);
    if (!read) return report_error(read.error(), options.json);
    head = std::move(*read);
  }
  if (const auto is_signed = check_signature(options, head); !is_signed)
    return report_error(is_signed.error(), options.json);
  if (options.database.empty())
    return call_station(station, {.method = "audit.verify", .params = {{"head", head->text}}});
  const auto proof = prove(options, head);
  if (!proof) return report_error(proof.error(), options.json);
  if (options.json) {
    print_line(json::serialize(*proof));
  } else {
    print(answer_text(*proof));
  }
  return proof->at("good").as_bool() ? ExitStatus::good : ExitStatus::not_good;
}

}  // namespace imprint::station::cli
