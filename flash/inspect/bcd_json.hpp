// SPDX-License-Identifier: GPL-3.0-or-later
// A BCD store as JSON, one object a line:
// {"objects": [{"id": "{...}", "type": "0x10200003", "name", "elements": [{"id": "14000008", "name", "value"}]}]}
//
// Values: strings, integers, booleans and lists as themselves; an object's id as "{...}"; what did not decode as
// {"bytes": "<hexadecimal>"}. Devices: {"kind": "boot"}, {"kind": "gpt-partition", "disk", "partition"},
// {"kind": "mbr-partition", "signature": "0x...", "offset": <bytes>}, {"kind": "ramdisk", "path", "parent": <device>},
// {"kind": "locate", "element"}, {"kind": "unknown", "type", "bytes"}, each with "options": "{...}" when it names an
// options object. Names are bcdedit's, empty when there is none. Always valid JSON in valid UTF-8.
#pragma once

#include <string>

#include "flash/bcd/store.hpp"
#include "flash/inspect/finding.hpp"

namespace imprint::inspect {

// With `expectations`, also "verdict" and "findings" as in report_json.hpp; nullptr: without.
[[nodiscard]] std::string to_json(const bcd::Store& store, const Report* expectations);

}  // namespace imprint::inspect
