// SPDX-License-Identifier: GPL-3.0-or-later
// imprint ffu diff: two images side by side, as text and as JSON.
#include <fmt/format.h>
#include <boost/json.hpp>

#include <algorithm>

#include "flash/core/text.hpp"
#include "station/cli/commands.hpp"
#include "station/cli/ffu_file.hpp"
#include "station/cli/ffu_json.hpp"
#include "station/cli/image_difference.hpp"

namespace imprint::station::cli {
namespace {

namespace json = boost::json;

constexpr std::size_t kExtentsOnScreen = 20;
constexpr std::size_t kExtentsInJson = 10000;  // for each store; their number is there, too

std::string_view to_string(PartitionState state) {
  switch (state) {
    case PartitionState::same:
      return "same";
    case PartitionState::different:
      return "different";
    case PartitionState::only_in_a:
      return "only in A";
    case PartitionState::only_in_b:
      return "only in B";
  }
  return "different";
}

std::string_view json_name(PartitionState state) {
  switch (state) {
    case PartitionState::only_in_a:
      return "only-in-a";
    case PartitionState::only_in_b:
      return "only-in-b";
    default:
      return to_string(state);
  }
}

json::array extents_json(const std::vector<core::Extent>& extents) {
  json::array out;
  for (const core::Extent& extent : extents) {
    if (out.size() == kExtentsInJson) break;
    out.push_back(json::object{{"offset", extent.offset}, {"length", extent.length}});
  }
  return out;
}

json::object described_json(const std::vector<core::Extent>& extents) {
  return {{"bytes", inspect::size_of(extents).bytes},
          {"extents_total", extents.size()},
          {"extents", extents_json(extents)}};
}

json::object store_json(const StoreDifference& store, std::size_t index) {
  const auto all = inspect::size_of(store.extents);
  json::array partitions;
  for (const PartitionDifference& partition : store.partitions) {
    partitions.push_back(json::object{{"number", partition.number},
                                      {"name", core::printable(partition.name)},
                                      {"state", json_name(partition.state)},
                                      {"moved", partition.moved},
                                      {"bytes_in_a", partition.bytes_in_a},
                                      {"bytes_in_b", partition.bytes_in_b},
                                      {"differing_blocks", partition.difference.blocks},
                                      {"differing_bytes", partition.difference.bytes}});
  }
  json::object out{{"index", index},
                   {"disk_bytes_a", store.disk_bytes_a},
                   {"disk_bytes_b", store.disk_bytes_b},
                   {"partition_tables_readable", store.has_tables},
                   {"differing_blocks", all.blocks},
                   {"differing_bytes", all.bytes},
                   {"partitions", std::move(partitions)},
                   {"extents_total", store.extents.size()},
                   {"extents", extents_json(store.extents)},
                   {"described_only_in_a", described_json(store.described_only_in_a)},
                   {"described_only_in_b", described_json(store.described_only_in_b)}};
  if (store.has_tables) {
    out["outside_partitions"] =
        json::object{{"differing_blocks", store.outside.blocks}, {"differing_bytes", store.outside.bytes}};
  }
  return out;
}

json::object to_json(const FfuDiffOptions& options, const ImageDifference& difference) {
  json::array facts;
  for (const FactDifference& fact : difference.facts) {
    facts.push_back(json::object{{"fact", fact.fact}, {"a", core::printable(fact.a)}, {"b", core::printable(fact.b)}});
  }
  json::array stores;
  for (std::size_t i = 0; i < difference.stores.size(); ++i) stores.push_back(store_json(difference.stores[i], i));
  return {{"a", name_of(options.a)},
          {"b", name_of(options.b)},
          {"contents", difference.same_contents() ? "same" : "different"},
          {"signature_checked", false},
          {"block_size", inspect::kDifferenceGranule},
          {"facts", std::move(facts)},
          {"stores_in_a", difference.stores_in_a},
          {"stores_in_b", difference.stores_in_b},
          {"stores", std::move(stores)}};
}

std::string size_text(const inspect::DifferenceSize& size) {
  return fmt::format("{} block{} of 4 KiB, {} bytes", size.blocks, size.blocks == 1 ? "" : "s", size.bytes);
}

void print_partition(const PartitionDifference& partition) {
  std::string text(to_string(partition.state));
  if (partition.difference.blocks != 0) text += ": " + size_text(partition.difference);
  if (partition.moved) text += "; at another place";
  if (partition.state == PartitionState::different && partition.bytes_in_a != partition.bytes_in_b) {
    text += fmt::format("; {} in A, {} in B", core::format_mib(partition.bytes_in_a),
                        core::format_mib(partition.bytes_in_b));
  }
  const std::string name = partition.name.empty() ? "-" : core::printable(partition.name);
  print_line(fmt::format("  Partition {:<3} {:<16} {}", partition.number, name, text));
}

// Zeros count: a device keeps there what it has, where the other image clears it.
void print_described(std::string_view where, const std::vector<core::Extent>& extents) {
  if (extents.empty()) return;
  print_line(fmt::format("  Described only in {}: {} bytes at {} place{}, the first at {}", where,
                         inspect::size_of(extents).bytes, extents.size(), extents.size() == 1 ? "" : "s",
                         extents.front().offset));
}

void print_store(const StoreDifference& store, std::size_t index) {
  const auto all = inspect::size_of(store.extents);
  print_line(fmt::format("Store {}: {}", index, all.blocks == 0 ? "same bytes" : "differs in " + size_text(all)));
  if (store.disk_bytes_a != store.disk_bytes_b) {
    print_line(fmt::format("  Disk: {} in A, {} in B; compared as if the smaller one went on with zeros",
                           core::format_mib(store.disk_bytes_a), core::format_mib(store.disk_bytes_b)));
  }
  for (const PartitionDifference& partition : store.partitions) print_partition(partition);
  if (!store.has_tables) print_line("  Partitions: no table that can be read in both");
  if (store.outside.blocks != 0)
    print_line(fmt::format("  Outside of partitions (tables, gaps): {}", size_text(store.outside)));
  print_described("A", store.described_only_in_a);
  print_described("B", store.described_only_in_b);
  const std::size_t shown = std::min(store.extents.size(), kExtentsOnScreen);
  for (std::size_t i = 0; i < shown; ++i) {
    const core::Extent& extent = store.extents[i];
    print_line(fmt::format("  at {:>14} {:>12} bytes", extent.offset, extent.length));
  }
  if (store.extents.size() > shown)
    print_line(fmt::format("  and {} more places; --json names them", store.extents.size() - shown));
}

void print_difference(const FfuDiffOptions& options, const ImageDifference& difference) {
  print_line(fmt::format("A         {}\nB         {}", name_of(options.a), name_of(options.b)));
  for (const FactDifference& fact : difference.facts) {
    const auto shown = [](const std::string& text) { return text.empty() ? std::string("-") : core::printable(text); };
    print_line(fmt::format("Header    {}\n  A: {}\n  B: {}", fact.fact, shown(fact.a), shown(fact.b)));
  }
  for (std::size_t i = 0; i < difference.stores.size(); ++i) print_store(difference.stores[i], i);
  if (difference.stores_in_a != difference.stores_in_b)
    print_line(fmt::format("Stores    {} in A, {} in B", difference.stores_in_a, difference.stores_in_b));
  print_line(difference.same_contents()
                 ? fmt::format("Contents  SAME{}", difference.facts.empty() ? "" : "; only headers or form differ")
                 : "Contents  DIFFERENT");
  print_line("No signature was checked: who signed an image is for imprint ffu verify to say");
}

}  // namespace

ExitStatus ffu_diff(const FfuDiffOptions& options) {
  const auto compare = [&]() -> core::Result<ImageDifference> {
    IMPRINT_TRY(const FfuFile a, open_checked_ffu(options.a));
    IMPRINT_TRY(const FfuFile b, open_checked_ffu(options.b));
    Progress progress("Comparing", options.json);
    return compare_images(a, b, [&](std::uint64_t done, std::uint64_t total) { progress.update(done, total); }, {});
  };
  const auto difference = compare();
  if (!difference) return report_error(difference.error(), options.json);
  if (options.json) {
    print_line(json::serialize(to_json(options, *difference)));
  } else {
    print_difference(options, *difference);
  }
  return difference->same_contents() ? ExitStatus::good : ExitStatus::not_good;
}

}  // namespace imprint::station::cli
