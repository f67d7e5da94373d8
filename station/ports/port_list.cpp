// SPDX-License-Identifier: GPL-3.0-or-later
// Brings the tree of ports and the slot map together.
#include "station/ports/port_list.hpp"

#include <algorithm>
#include <map>
#include <set>

namespace imprint::station::ports {
namespace {

using usb::PortDiagnosis;
using usb::TopologyNode;
using State = PortRow::State;

constexpr std::uint8_t kMassStorageClass = 0x08;

std::string protocol_text(const TopologyNode& node) {
  if (const auto protocol = devices::protocol_of(node.identity)) return std::string(devices::to_string(*protocol));
  if (node.identity.interface_class == kMassStorageClass || !node.disks.empty()) return "mass-storage";
  return {};
}

std::string hints(const TopologyNode& node) {
  std::string out = usb::is_slower_than_possible(node) ? "slower than it could be: check the cable" : "";
  if (node.is_simulated) out += (out.empty() ? "" : "; ") + std::string(kSimulatedHint);
  return out;
}

class Lister {
 public:
  Lister(const SlotMap& slots, const PortCheck& check) : slots_(slots), check_(check) {}

  std::vector<PortRow> list(const std::vector<TopologyNode>& topology) {
    index(topology);
    for (const SlotRule& rule : slots_.rules()) {
      if (rule.has_star()) continue;
      for (const std::string& port : rule.ports) {
        const auto found = nodes_.find(port);
        rows_.push_back(judge({port}, found == nodes_.end() ? nullptr : found->second));
        listed_.insert(port);
      }
    }
    collect(topology);
    refuse_pairs();
    return std::move(rows_);
  }

 private:
  void index(const std::vector<TopologyNode>& nodes) {
    for (const TopologyNode& node : nodes) {
      nodes_[node.port.text] = &node;
      index(node.ports);
    }
  }

  void collect(const std::vector<TopologyNode>& nodes) {
    for (const TopologyNode& node : nodes) {
      const bool is_device = node.kind == TopologyNode::Kind::device;
      const bool is_port = is_device || node.kind == TopologyNode::Kind::empty;
      if (is_port && !listed_.contains(node.port.text) && (is_device || slots_.slot_of(node.port)))
        rows_.push_back(judge(node.port, &node));
      collect(node.ports);
    }
  }

  PortRow judge(const devices::PortPath& port, const TopologyNode* node) {
    PortRow row;
    row.port = port;
    row.node = node;
    row.slot = slots_.slot_of(port);
    if (node != nullptr) {
      if (node->kind == TopologyNode::Kind::empty) return row;
      row.protocol = protocol_text(*node);
    }
    if (!row.slot) {
      row.state = State::not_ours;
      return row;
    }
    PortDiagnosis diagnosis = check_(port, row.slot->disks);
    row.state = state_of(diagnosis.problem);
    if (row.state == State::ready) {
      if (node != nullptr) row.reason = hints(*node);
    } else if (row.state != State::empty) {
      row.error_id = std::move(diagnosis.error_id);
      row.reason = std::move(diagnosis.explanation);
      row.remedy = std::move(diagnosis.remedy);
    }
    return row;
  }

  // The ports of one slot are one socket; where each holds a device, nobody knows which is meant.
  void refuse_pairs() {
    std::map<std::string, unsigned> devices;
    for (const PortRow& row : rows_) {
      if (row.slot && holds_a_device(row)) ++devices[row.slot->name];
    }
    for (PortRow& row : rows_) {
      if (!row.slot || !holds_a_device(row) || devices[row.slot->name] < 2 || row.state != State::ready) continue;
      row.state = State::refused;
      row.reason = "Another port of this slot holds a device, too.";
      row.remedy = "Take one out, and mend the slot's line: only the two halves of one socket go together.";
    }
  }

  const SlotMap& slots_;
  const PortCheck& check_;
  std::map<std::string, const TopologyNode*> nodes_;
  std::set<std::string> listed_;
  std::vector<PortRow> rows_;
};

}  // namespace

State state_of(PortDiagnosis::Problem problem) {
  switch (problem) {
    case PortDiagnosis::Problem::none:
      return State::ready;
    case PortDiagnosis::Problem::empty:
      return State::empty;
    case PortDiagnosis::Problem::no_such_port:
      return State::no_such_port;
    default:
      return State::refused;
  }
}

std::string_view to_string(State state) {
  switch (state) {
    case State::ready:
      return "ready";
    case State::refused:
      return "refused";
    case State::not_ours:
      return "not ours";
    case State::empty:
      return "empty";
    case State::no_such_port:
      return "no such port";
    case State::busy:
      return "busy";
  }
  return "refused";
}

std::vector<PortRow> list_ports(const std::vector<TopologyNode>& topology, const SlotMap& slots,
                                const PortCheck& check) {
  return Lister(slots, check).list(topology);
}

bool holds_a_device(const PortRow& row) { return row.node != nullptr && row.node->kind == TopologyNode::Kind::device; }

}  // namespace imprint::station::ports
