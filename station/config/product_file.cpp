// SPDX-License-Identifier: GPL-3.0-or-later
// Reads a product's file, table by table.
#include "station/config/product_file.hpp"

#include <algorithm>
#include <limits>

#include "flash/core/text.hpp"
#include "flash/engine/flash_policy.hpp"
#include "station/config/product_words.hpp"
#include "station/config/table_reader.hpp"

namespace imprint::station::config {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t kDigestDigits = 64;
constexpr milliseconds kLeastDeadline = std::chrono::seconds(1);
constexpr milliseconds kMostDeadline = std::chrono::hours(24);
constexpr unsigned kMostTries = 10;
constexpr unsigned kMostFailures = 1000;
constexpr std::uint64_t kMostNumber = std::numeric_limits<std::int64_t>::max();

bool is_name(std::string_view text) {
  constexpr std::size_t kMostBytes = 64;
  const auto fits = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_' ||
           c == '.';
  };
  return text.size() <= kMostBytes && std::ranges::all_of(text, fits);
}

void read_image(TableReader& root, ProductFile& product) {
  root.require("image", "[image] with digest = \"...\"");
  auto image = root.table("image");
  if (!image) return;
  std::string digest;
  if (image->text("digest", digest)) {
    std::string digits = core::to_lower_ascii(digest.starts_with("sha256:") ? digest.substr(7) : digest);
    const bool hex =
        std::ranges::all_of(digits, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
    if (digits.size() == kDigestDigits && hex) {
      product.image_digest = std::move(digits);
    } else {
      image->complain("digest", "an image's identity has 64 hexadecimal digits",
                      "copy the digest that imprint station images list shows");
    }
  }
  image->path("file", product.image_file);
  if (!image->has("digest") && !image->has("file")) image->require("digest", "digest = \"...\", or file = \"...\"");
  take_word(*image, "policy", kPolicies, product.policy);
  image->finish();
}

void read_rules(TableReader& root, ProductFile& product) {
  auto rules = root.table("rules");
  if (!rules) return;
  rules->path("layout", product.layout);
  rules->path("platform", product.platform);
  rules->flag("bcd", product.check_bcd);
  Recovery recovery = Recovery::iot_mmos;
  if (take_word(*rules, "recovery", kRecoveries, recovery)) product.recovery = recovery;
  if (product.platform && !rules->has("layout"))
    rules->conflict("platform", "a platform file is only of use with a layout",
                    "write layout = \"DeviceLayout.xml\", too");
  rules->finish();
}

void read_range(TableReader& serial, admission::SerialRule& rule) {
  auto table = serial.table("range");
  if (!table) return;
  admission::SerialRange range;
  table->require("first", "first = 1");
  table->require("last", "last = 99999");
  table->text("prefix", range.prefix, 64);
  const bool first = table->number("first", std::uint64_t{0}, kMostNumber, range.first);
  const bool last = table->number("last", std::uint64_t{0}, kMostNumber, range.last);
  table->number("width", 0U, 20U, range.width);
  range.check_digit = rule.check_digit;
  table->finish();
  if (!first || !last) return;
  if (auto checked = range.check(); !checked) {
    serial.complain("range", checked.error());
    return;
  }
  // What the station would give out has to be what it takes.
  for (const std::uint64_t number : {range.first, range.last}) {
    const auto made = range.serial_of(number);
    if (!made || !rule.pattern || rule.pattern->matches(*made)) continue;
    serial.conflict("range", "its serial " + *made + " does not fit the pattern", "change the pattern or the range");
    return;
  }
  rule.range = std::move(range);
}

void check_serial_table(TableReader& serial, const admission::SerialRule& rule) {
  using admission::LabelCheck;
  using admission::SerialSource;
  const bool allocated = rule.source == SerialSource::allocated;
  if (allocated && !serial.has("range"))
    serial.conflict("source", "serials are allocated, and there is no range",
                    "write range = { prefix = \"...\", first = 1, last = 99999, width = 5 }");
  if (!allocated && serial.has("range"))
    serial.conflict("range", "it is only of use with source = \"allocated\"", "take it away, or change the source");
  if (rule.may_be_typed && rule.source != SerialSource::scanned)
    serial.conflict("typed", "it is only of use with source = \"scanned\"", "take it away, or change the source");
  if (rule.label == LabelCheck::equals_device_serial && !rule.asks_a_person())
    serial.conflict("label", "there is no label to compare where nobody scans or types one",
                    "write label = \"not-compared\", or source = \"scanned\"");
  if ((rule.label == LabelCheck::fits_platform) != serial.has("platforms"))
    serial.conflict(serial.has("platforms") ? "platforms" : "label",
                    "label = \"fits-platform\" and platforms go together",
                    "write platforms = { \"K1\" = \"Manufacturer.Family.Product.*\" }, or take both away");
}

void read_serial(TableReader& root, ProductFile& product) {
  auto serial = root.table("serial");
  if (!serial) return;
  admission::SerialRule& rule = product.serial;
  take_word(*serial, "source", kSerialSources, rule.source);
  serial->flag("typed", rule.may_be_typed);
  serial->flag("upper-case", rule.upper_case);
  serial->text("label-prefix", rule.label_prefix, 16);
  std::string pattern;
  if (serial->text("pattern", pattern)) {
    auto compiled = admission::SerialPattern::compile(pattern);
    if (compiled) {
      rule.pattern = std::move(*compiled);
      const bool names_parts = rule.pattern->names_serial() || rule.pattern->names_mac();
      if (names_parts && !rule.pattern->names_serial())
        serial->conflict("pattern", "it names a part of the label, and not which one is the serial",
                         "write (?<serial>...) around the serial, too");
      if (names_parts && !rule.asks_a_person())
        serial->conflict("pattern", "parts are taken out of a label, and nobody scans or types one",
                         "write source = \"scanned\", or take the names away");
    } else {
      serial->complain("pattern", compiled.error(), "see the list of signs in docs/engineer.md");
    }
  }
  take_word(*serial, "check-digit", kCheckDigits, rule.check_digit);
  take_word(*serial, "label", kLabelChecks, rule.label);
  serial->pairs("platforms", rule.platforms);
  read_range(*serial, rule);
  check_serial_table(*serial, rule);
  serial->finish();
}

void read_protocols(TableReader& flash, ProductFile& product) {
  std::vector<std::string> words;
  if (!flash.texts("protocols", words)) return;
  std::vector<Protocol> protocols;
  for (const std::string& word : words) {
    if (const auto known = kProtocols.parse(word)) {
      protocols.push_back(*known);
    } else {
      flash.complain_of_word("protocols", word, kProtocols.all());
    }
  }
  if (words.empty())
    flash.complain("protocols", "nothing can be flashed by no protocol", "name one, or take the line away");
  if (protocols.size() == words.size() && !words.empty()) product.protocols = std::move(protocols);
}

// What a stream protocol applies by itself leaves no room for these: the device writes.
bool has_block_protocol(const ProductFile& product) {
  return std::ranges::any_of(product.protocols,
                             [](Protocol p) { return p == Protocol::mass_storage || p == Protocol::disk; });
}

// One that takes the FFU as it is.
bool has_stream_protocol(const ProductFile& product) {
  return std::ranges::any_of(product.protocols,
                             [](Protocol p) { return p == Protocol::simple_io || p == Protocol::ufp; });
}

// What a protocol has no words for is not done, and nobody stands beside the device to see it.
void check_after_pass(TableReader& flash, const ProductFile& product) {
  const Protocol mute = product.after_pass == AfterPass::power_off ? Protocol::simple_io : Protocol::ufp;
  if (product.after_pass != AfterPass::power_off && product.after_pass != AfterPass::mass_storage) return;
  if (std::ranges::find(product.protocols, mute) == product.protocols.end()) return;
  flash.conflict("after-pass", "a device that speaks " + std::string(to_string(mute)) + " cannot be told to do this",
                 "write reboot or nothing, or protocols without \"" + std::string(to_string(mute)) + "\"");
}

void read_flash(TableReader& root, ProductFile& product) {
  auto flash = root.table("flash");
  if (!flash) return;
  read_protocols(*flash, product);
  take_word(*flash, "read-back", kReadBacks, product.read_back);
  take_word(*flash, "write", kWriteModes, product.write);
  take_word(*flash, "erase", kErasures, product.erase);
  flash->flag("verify-erasure", product.verify_erasure);
  take_word(*flash, "rework-erase", kReworkErasures, product.rework_erase);
  flash->flag("refit-gpt", product.refit_gpt);
  take_word(*flash, "after-pass", kAfterPasses, product.after_pass);
  flash->duration("reboot-time", milliseconds(0), std::chrono::hours(1), product.reboot_time);
  // A disk may read as it likes after a discard.
  if (product.verify_erasure && product.erase != Erasure::zero)
    flash->conflict("verify-erasure", "only zeros can be read back", "write erase = \"zero\", or take it away");
  if (product.erase != Erasure::none && has_block_protocol(product) && has_stream_protocol(product))
    flash->conflict("erase", "a device that applies the image itself is not erased by the station",
                    "write protocols = [\"mass-storage\"], or take it away");
  if (product.write == WriteMode::differing && product.read_back == ReadBack::off)
    flash->conflict("write", "who only writes what differs has to read the disk", "write read-back = \"required\"");
  check_after_pass(*flash, product);
  for (const std::string_view key : {"write", "erase", "refit-gpt"}) {
    const bool asked = (key == "write" && product.write == WriteMode::differing) ||
                       (key == "erase" && product.erase != Erasure::none) || (key == "refit-gpt" && product.refit_gpt);
    if (asked && !has_block_protocol(product))
      flash->conflict(key, "only disks can do this, and no protocol of this product reaches one",
                      "add \"mass-storage\" or \"disk\" to protocols, or take it away");
  }
  flash->finish();
}

void read_retries(TableReader& root, ProductFile& product, std::span<const core::ErrorRow> known_errors) {
  auto retries = root.table("retries");
  if (!retries) return;
  retries->number("count", 0U, kMostTries, product.retries.count);
  retries->texts("errors", product.retries.errors);
  std::vector<std::string_view> ids;
  for (const core::ErrorRow& row : known_errors) ids.push_back(row.id);
  for (const std::string& id : product.retries.errors) {
    if (!ids.empty() && std::ranges::find(ids, id) == ids.end()) {
      const auto probable = probable_word(id, ids);
      retries->complain(
          "errors", "\"" + id + "\" is no error id",
          probable ? "did you mean \"" + std::string(*probable) + "\"?" : "see imprint errors for the ids");
    }
  }
  for (const std::string& id : product.retries.errors) {
    const bool is_known = std::ranges::find(ids, id) != ids.end();
    if (is_known && !engine::may_be_mended_by_retry(id))
      retries->conflict("errors", "\"" + id + "\" is not mended by doing the same again",
                        "name errors of the device or its disk, as docs/engineer.md lists them");
  }
  if (product.retries.count != 0 && product.retries.errors.empty() && !retries->has("errors"))
    retries->conflict("count", "no error is worth a retry", "write errors = [\"device.disconnected\"], for example");
  retries->finish();
}

void read_deadlines(TableReader& root, PhaseDeadlines& out) {
  auto table = root.table("deadlines");
  if (!table) return;
  for (auto [key, deadline] :
       {std::pair{"identify", &out.identify}, std::pair{"scan", &out.scan}, std::pair{"admit", &out.admit},
        std::pair{"finish", &out.finish}, std::pair{"erase", &out.erase}, std::pair{"write", &out.write},
        std::pair{"confirm", &out.confirm}, std::pair{"read-back", &out.read_back}, std::pair{"inspect", &out.inspect}})
    table->duration(key, kLeastDeadline, kMostDeadline, *deadline);
  table->finish();
}

void read_pace_and_start(TableReader& root, ProductFile& product) {
  if (auto pace = root.table("pace")) {
    pace->require("least", "least = \"1 MiB\"");
    pace->require("within", "within = \"30 s\"");
    pace->size("least", 0, std::uint64_t{1} << 40, product.least_pace_bytes);
    pace->duration("within", kLeastDeadline, kMostDeadline, product.least_pace_within);
    pace->finish();
  }
  if (auto start = root.table("start")) {
    start->number("at-once", 0U, 1000U, product.starts_at_once);
    start->duration("stagger", milliseconds(0), std::chrono::minutes(10), product.start_stagger);
    if ((product.starts_at_once == 0) != (product.start_stagger == milliseconds(0)))
      start->conflict(start->has("stagger") ? "stagger" : "at-once", "one of the two alone holds nobody back",
                      "write both, at-once = 2 and stagger = \"500 ms\" for example, or neither");
    start->finish();
  }
}

void read_quarantine(TableReader& root, ProductFile& product) {
  auto table = root.table("quarantine");
  if (!table) return;
  admission::QuarantineLimits limits;
  table->number("unit-failures", 0U, kMostFailures, limits.unit_failures);
  table->number("slot-failures-in-a-row", 0U, kMostFailures, limits.slot_failures_in_a_row);
  product.quarantine = limits;
  table->finish();
}

}  // namespace

std::string_view to_string(Protocol value) { return kProtocols.of(value); }
std::string_view to_string(ReadBack value) { return kReadBacks.of(value); }
std::string_view to_string(WriteMode value) { return kWriteModes.of(value); }
std::string_view to_string(Erasure value) { return kErasures.of(value); }
std::string_view to_string(AfterPass value) { return kAfterPasses.of(value); }
std::string_view to_string(Recovery value) { return kRecoveries.of(value); }

Parsed<ProductFile> parse_product_file(std::string_view text, const std::filesystem::path& file,
                                       std::span<const core::ErrorRow> known_errors) {
  auto toml = parse_toml(text, file);
  if (!toml.value) return {std::nullopt, std::move(toml.complaints)};
  FileNotes notes(file);
  TableReader root(*toml.value, "", {1, 1}, notes);
  ProductFile product;
  product.file = file;
  product.places = places_of(*toml.value);
  root.require("product", "product = \"kestrel\"");
  if (root.text("product", product.name) && !is_name(product.name))
    root.complain("product", "a product's name is at most 64 letters, digits, '-', '_' and '.'",
                  "write what is to stand in records and file names, such as \"kestrel-k1\"");
  root.text("description", product.description);
  read_image(root, product);
  read_rules(root, product);
  read_serial(root, product);
  read_flash(root, product);
  read_retries(root, product, known_errors);
  read_deadlines(root, product.deadlines);
  read_pace_and_start(root, product);
  read_quarantine(root, product);
  root.finish();
  Complaints complaints = notes.take();
  if (!complaints.empty()) return {std::nullopt, std::move(complaints)};
  return {std::move(product), {}};
}

}  // namespace imprint::station::config
