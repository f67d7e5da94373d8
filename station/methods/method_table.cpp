// SPDX-License-Identifier: GPL-3.0-or-later
// The methods, in the order in which a client meets them.
#include "station/methods/method_table.hpp"

#include <algorithm>
#include <array>

namespace imprint::station::methods {
namespace {

using people::Action;
constexpr auto kEventsSubscribe = std::to_array<Parameter>({
    {"from", "number", false, "number of the first event that is wanted; without it those that come"},
});
constexpr auto kPeopleSignIn = std::to_array<Parameter>({
    {"name", "string", false, "name, with `pin`"},
    {"badge", "string", false, "what the badge says, instead of the name"},
    {"pin", "string", false, "digits; a secret"},
});
constexpr auto kPeopleResume = std::to_array<Parameter>({
    {"token", "string", true, "of `people.sign_in`"},
});
constexpr auto kPeopleFirst = std::to_array<Parameter>({
    {"name", "string", true, "of the person"},
    {"pin", "string", true, "digits; a secret"},
});
constexpr auto kPeopleAdd = std::to_array<Parameter>({
    {"name", "string", true, "unique"},
    {"role", "string", true, "`operator`, `qa`, `manager` or `engineer`"},
    {"badge", "string", false, "what the badge says, unique"},
});
constexpr auto kPeopleSetPin = std::to_array<Parameter>({
    {"person", "number", true, "of `people.list`"},
    {"pin", "string", true, "digits; a secret"},
});
constexpr auto kPeopleSetName = std::to_array<Parameter>({
    {"person", "number", true, "of `people.list`"},
    {"name", "string", true, "unique"},
    {"badge", "string", false, "empty: none"},
});
constexpr auto kPeopleSetRole = std::to_array<Parameter>({
    {"person", "number", true, "of `people.list`"},
    {"role", "string", true, "as in `people.add`"},
    {"reason", "string", true, "for the records"},
});
constexpr auto kPeopleSetActive = std::to_array<Parameter>({
    {"person", "number", true, "of `people.list`"},
    {"active", "boolean", true, ""},
    {"reason", "string", true, "for the records"},
});
constexpr auto kPeopleErase = std::to_array<Parameter>({
    {"person", "number", true, "of `people.list`"},
    {"reason", "string", true, "for the records"},
});
constexpr auto kPeopleChangePin = std::to_array<Parameter>({
    {"old_pin", "string", true, "digits; a secret"},
    {"pin", "string", true, "digits; a secret"},
});
constexpr auto kPeopleUnlock = std::to_array<Parameter>({
    {"person", "number", true, "of `people.list`"},
    {"reason", "string", true, "for the records"},
});
constexpr auto kLineArm = std::to_array<Parameter>({
    {"product", "string", true, "name of a product"},
    {"order", "string", false, "number of a work order for it"},
});
constexpr auto kLineDisarm = std::to_array<Parameter>({
    {"reason", "string", false, "for the records"},
});
constexpr auto kLineCancel = std::to_array<Parameter>({
    {"slot", "string", false, "without it: in all slots"},
});
constexpr auto kLineScan = std::to_array<Parameter>({
    {"text", "string", true, "as the scanner sent it"},
    {"typed", "boolean", false, "by a person"},
    {"slot", "string", false, "for this slot only"},
});
constexpr auto kOrdersList = std::to_array<Parameter>({
    {"closed", "boolean", false, "closed ones, too"},
});
constexpr auto kOrdersCreate = std::to_array<Parameter>({
    {"number", "string", true, "the company's own, unique"},
    {"product", "string", true, "name of a product"},
    {"quantity", "number", true, "units, 1 to 1,000,000,000"},
    {"due", "string", false, "ISO 8601 with offset"},
});
constexpr auto kOrdersChange = std::to_array<Parameter>({
    {"number", "string", true, ""},
    {"quantity", "number", true, "units"},
    {"due", "string", false, "ISO 8601 with offset; without it none"},
    {"reason", "string", true, "for the records"},
});
constexpr auto kOrdersClose = std::to_array<Parameter>({
    {"number", "string", true, ""},
    {"reason", "string", true, "for the records"},
});
constexpr auto kUnitsHistory = std::to_array<Parameter>({
    {"product", "string", true, ""},
    {"serial", "string", true, ""},
});
constexpr auto kUnitsAllow = std::to_array<Parameter>({
    {"product", "string", true, ""},
    {"serial", "string", true, ""},
    {"reason", "string", true, "for the records"},
    {"other_device", "boolean", false, "also where the records know the device under another serial"},
});
constexpr auto kUnitsScrap = std::to_array<Parameter>({
    {"product", "string", true, ""},
    {"serial", "string", true, ""},
    {"reason", "string", true, "for the records"},
});
constexpr auto kQuarantineList = std::to_array<Parameter>({
    {"lifted", "boolean", false, "what was lifted, too"},
});
constexpr auto kQuarantineAdd = std::to_array<Parameter>({
    {"kind", "string", true, "`unit`, `slot`, `signer` or `image`"},
    {"subject", "string", true, "serial, slot, subject of the certificate, or digest"},
    {"product", "string", false, "of a unit"},
    {"reason", "string", true, "for the records"},
});
constexpr auto kQuarantineLift = std::to_array<Parameter>({
    {"quarantine", "number", true, "of `quarantine.list`"},
    {"reason", "string", true, "for the records"},
});
constexpr auto kImagesAdmit = std::to_array<Parameter>({
    {"file", "string", true, "a path that the station may read"},
    {"policy", "string", false, "`retail` (as the station's, unless told otherwise) or `test`"},
});
constexpr auto kImagesWithdraw = std::to_array<Parameter>({
    {"digest", "string", true, "or its first 8 digits or more"},
    {"reason", "string", true, "for the records"},
});
constexpr auto kImagesReinstate = std::to_array<Parameter>({
    {"digest", "string", true, "or its first 8 digits or more"},
    {"reason", "string", true, "for the records"},
});
constexpr auto kImagesRemove = std::to_array<Parameter>({
    {"digest", "string", true, "or its first 8 digits or more"},
    {"reason", "string", true, "for the records"},
});
constexpr auto kJobsList = std::to_array<Parameter>({
    {"limit", "number", false, "the newest so many; 1 to 1,000, 50 unless told"},
});
constexpr auto kJobsOne = std::to_array<Parameter>({
    {"job", "number", true, "of `jobs.list`"},
});
constexpr auto kJobsInspect = std::to_array<Parameter>({
    {"what", "string", true, "`layout`, `bcd` or `recovery`"},
    {"source", "string", true, "digest of an image of the store, or a file in a folder that `[jobs] folders` names"},
    {"layout", "string", false, "DeviceLayout.xml in such a folder, for `layout`"},
    {"platform", "string", false, "OEMDevicePlatform.xml in such a folder, for `layout`"},
    {"profile", "string", false, "`iot-mmos` or `winre`, for `recovery`"},
});
constexpr auto kJobsBuild = std::to_array<Parameter>({
    {"what", "string", true, "`create`: an image of a disk image; `convert`: another form of an image"},
    {"source", "string", true, "digest of an image of the store, or a file in a folder that `[jobs] folders` names"},
    {"platforms", "string", false, "platform ids with commas between them, for `create`"},
    {"compress", "string", false, "`none` unless told, `xpress`, `xpress-huffman` or `lznt1`"},
});
constexpr auto kAttemptsList = std::to_array<Parameter>({
    {"from", "string", false, "ISO 8601 with offset; without it the last 24 hours"},
    {"to", "string", false, "not included"},
    {"limit", "number", false, "the newest so many; 1 to 1,000, 100 unless told"},
});
constexpr auto kAttemptsShow = std::to_array<Parameter>({
    {"attempt", "number", true, "of `attempts.list`"},
});
constexpr auto kAttemptsCorrect = std::to_array<Parameter>({
    {"attempt", "number", true, ""},
    {"text", "string", true, "what is right"},
    {"reason", "string", true, "why it was wrong"},
});
constexpr auto kFindingsWaive = std::to_array<Parameter>({
    {"check", "string", true, "id of the check"},
    {"product", "string", true, ""},
    {"serial", "string", false, "of one unit; without it the product"},
    {"expires", "string", true, "ISO 8601 with offset, at most a year from now"},
    {"reason", "string", true, "for the records"},
});
constexpr auto kReportsYield = std::to_array<Parameter>({
    {"from", "string", false, "ISO 8601 with offset"},
    {"to", "string", false, "not included"},
    {"by", "string", false, "`all` unless told: `product`, `slot`, `day`, `image`, `platform`"},
});
constexpr auto kReportsFailures = std::to_array<Parameter>({
    {"from", "string", false, "ISO 8601 with offset"},
    {"to", "string", false, "not included"},
    {"by", "string", false, "`error` unless told: `slot`, `product`, `order`, `step`, `class`, `image`, `day`"},
});
constexpr auto kReportsSlots = std::to_array<Parameter>({
    {"from", "string", false, "ISO 8601 with offset"},
    {"to", "string", false, "not included"},
});
constexpr auto kReportsShift = std::to_array<Parameter>({
    {"shift", "string", false, "name of one in station.toml; without it the whole day"},
    {"date", "string", false, "on which it began, `2026-11-21`; without it the last that has begun"},
    {"from", "string", false, "ISO 8601 with offset, instead of the two"},
    {"to", "string", false, "not included"},
});
constexpr auto kReportsUnits = std::to_array<Parameter>({
    {"from", "string", false, "ISO 8601 with offset"},
    {"to", "string", false, "not included"},
    {"format", "string", false, "`jsonl` unless told: `csv`, `json`, `openhtf`, `table`"},
    {"after", "number", false, "of `next` of the page before"},
    {"last", "number", false, "of `next` of the page before"},
});
constexpr auto kAuditList = std::to_array<Parameter>({
    {"after", "number", false, "number of an entry; without it the newest"},
    {"limit", "number", false, "1 to 1,000, 100 unless told"},
});
constexpr auto kAuditHead = std::to_array<Parameter>({
    {"purpose", "string", false, "what it is for"},
    {"unsigned", "boolean", false, "also where the station's key cannot sign; without it that is the key's error"},
});
constexpr auto kAuditVerify = std::to_array<Parameter>({
    {"head", "string", false, "text of a head that was kept"},
});
constexpr auto kTrainingPlug = std::to_array<Parameter>({
    {"slot", "string", true, ""},
    {"number", "number", false, "which device, 1 unless told: the same number is the same device"},
    {"protocol", "string", false, "`simple-io` (unless told) or `ufp`"},
    {"serial", "string", false, "a GUID; by its number unless told"},
    {"platform", "string", false, "its platform id; the armed image's unless told"},
    {"disk_bytes", "number", false, "of its disk; as many as the armed image needs unless told"},
    {"sector_bytes", "number", false, "512 or 4096; the armed image's unless told"},
    {"faults", "strings", false, "each as `imprint virtual-device serve --fault`"},
    {"bytes_per_second", "number", false, "of its link"},
    {"latency_ms", "number", false, "of each transfer"},
});
constexpr auto kTrainingUnplug = std::to_array<Parameter>({
    {"slot", "string", true, ""},
});
constexpr auto kDevicesWhy = std::to_array<Parameter>({
    {"port", "string", true, "such as `1-2.4`"},
});
constexpr auto kFlashStart = std::to_array<Parameter>({
    {"image", "string", true, "digest of an image of the store, or its first 8 digits or more"},
    {"slots", "strings", false, "names; without them every slot that holds a device"},
    {"policy", "string", false, "`retail`, `test` or `none`; the station's unless told, and never laxer"},
    {"read_back", "string", false, "`required` (unless told), `where-possible` or `off`"},
    {"reboot", "boolean", false, "each device that passed"},
    {"product", "string", false, "that the records name; `bench` unless told"},
});
constexpr auto kFindingsRevoke = std::to_array<Parameter>({
    {"waiver", "number", true, "of `findings.waivers`"},
    {"reason", "string", true, "for the records"},
});
constexpr std::span<const Parameter> kNone;
constexpr auto kMethods = std::to_array<Method>({
    {"station.hello", Access::anybody, std::nullopt, false, "Who answers here; the first call of every client.", kNone,
     "`version` of the program, `api` (number of this interface), `station`, `name`, `training`, `epoch` (changes with "
     "each start), `next_event`, `language`"},
    {"station.status", Access::anybody, std::nullopt, false, "What is armed, what the slots do, what waits.", kNone,
     "`armed`, `stopping`, `once` (slots are flashed once, by `flash.start`), `loaded` (what was armed last: "
     "`product`, "
     "`order`, `why_disarmed`), `station`, `name`, `training`; while it is armed or something runs `product`, `image`, "
     "`signer`, `policy`, `since`, `running`, `order` (as one of `orders.list`; where there is one), `refused_ports`; "
     "`slots` (each as the event `slot`), `scan` (that waits, with `ms_left`; where there is one), "
     "`slots_that_ask_for_a_scan`, `people` (who is signed in: `name`, `role`, `gave_pin`), `key` (`kind`, `good`, "
     "`error`: of `audit.key`)"},
    {"events.subscribe", Access::anybody, std::nullopt, false, "From now on this connection is sent events.",
     kEventsSubscribe, "`epoch`, `from`"},
    {"people.sign_in", Access::anybody, std::nullopt, true,
     "Signs this connection in. A badge without a PIN signs nothing.", kPeopleSignIn,
     "`token` (a secret, for `people.resume`), `person`, `name`, `role`, `gave_pin`, `may` (names of actions)"},
    {"people.resume", Access::anybody, std::nullopt, false,
     "Signs this connection in as the one that the token was given to.", kPeopleResume,
     "as `people.sign_in`, without `token`"},
    {"people.sign_out", Access::signed_in, std::nullopt, true, "Ends the sign-in, on every connection.", kNone,
     "`true`"},
    {"people.who", Access::signed_in, std::nullopt, false, "Who is signed in on this connection.", kNone,
     "as `people.resume`"},
    {"people.first", Access::by_parameters, std::nullopt, true,
     "The first engineer of a station that has nobody; for root and the station's own user.", kPeopleFirst, "`person`"},
    {"people.list", Access::by_parameters, std::nullopt, false,
     "Everybody. `manage-people`; root of the station's machine without a sign-in.", kNone,
     "`people`: `person`, `name`, `badge`, `role`, `active`, `locked`"},
    {"people.add", Access::by_parameters, std::nullopt, true,
     "A person more, who signs in once a PIN is set. `manage-people`; only an engineer adds an engineer.", kPeopleAdd,
     "`person`"},
    {"people.set_pin", Access::by_parameters, std::nullopt, true,
     "A new PIN; ends the person's sign-ins. `manage-people`, for an engineer's only an engineer; root of the "
     "station's machine without a sign-in.",
     kPeopleSetPin, "`true`"},
    {"people.set_name", Access::by_parameters, std::nullopt, true,
     "Another name or badge. `manage-people`, for an engineer's only an engineer.", kPeopleSetName, "`true`"},
    {"people.set_role", Access::by_parameters, std::nullopt, true,
     "Another role; ends the person's sign-ins. `manage-people`; nobody changes their own, and only an engineer makes "
     "or unmakes engineers.",
     kPeopleSetRole, "`true`"},
    {"people.set_active", Access::by_parameters, std::nullopt, true,
     "Whether the person takes part; ends the sign-ins of who does not. `manage-people`; somebody who can manage "
     "people has to be left.",
     kPeopleSetActive, "`true`"},
    {"people.erase", Access::by_parameters, std::nullopt, true,
     "Name, badge and PIN are gone from the records for good; what the person did stays, under a number. "
     "`manage-people`.",
     kPeopleErase, "`pending`: a reader of the records keeps their log, in which it still stands, until it is done"},
    {"people.change_pin", Access::signed_in, std::nullopt, true,
     "One's own PIN; ends one's sign-ins, this one included.", kPeopleChangePin, "`true`"},
    {"people.unlock", Access::by_parameters, std::nullopt, true,
     "After too many wrong PINs. `unlock-person`; root of the station's machine without a sign-in.", kPeopleUnlock,
     "`true`"},
    {"line.arm", Access::by_action, Action::arm, true, "Devices in slots are flashed from now on.", kLineArm,
     "as `station.status`"},
    {"line.disarm", Access::by_action, Action::disarm, true, "No further device is begun with; what runs goes on.",
     kLineDisarm, "`true`"},
    {"line.cancel", Access::by_action, Action::cancel, true, "What runs is closed as aborted, within a second.",
     kLineCancel, "`true`"},
    {"line.scan", Access::by_parameters, std::nullopt, true,
     "A label: for the device that waits for one, or the next that is plugged in. `scan`, or `type-serial` where it "
     "was typed.",
     kLineScan, "`slot` that took it; null: it waits"},
    {"line.clear_scan", Access::by_action, Action::scan, true, "Takes the scan that waits away.", kNone, "`true`"},
    {"products.list", Access::anybody, std::nullopt, false, "The products of the configuration.", kNone,
     "`products`: `name`, `description`, `image`, `policy`, `serial_source`"},
    {"products.reload", Access::by_action, Action::change_recipes, true,
     "Reads products and slot files anew; what is armed keeps what it was armed with.", kNone, "`products`: how many"},
    {"orders.list", Access::anybody, std::nullopt, false, "Work orders and how far they are.", kOrdersList,
     "`orders`: `number`, `product`, `quantity`, `created`, `due`, `closed`, `closed_reason`, `passed`, `failed`, "
     "`incomplete`, `scrapped`, `reworked`, `running`, `refused`, `aborted`, `remaining`"},
    {"orders.create", Access::by_action, Action::create_order, true, "A work order.", kOrdersCreate, "`number`"},
    {"orders.change", Access::by_action, Action::create_order, true, "Another quantity or due date from now on.",
     kOrdersChange, "`true`"},
    {"orders.close", Access::by_action, Action::close_order, true, "No further unit is made for it.", kOrdersClose,
     "`true`"},
    {"units.history", Access::by_action, Action::see_reports, false, "All attempts with a unit.", kUnitsHistory,
     "`attempts`: `attempt`, `slot`, `opened`, `closed`, `verdict`, `error`, `reason`; "
     "`identities`: `kind`, `value`; `scrapped`"},
    {"units.allow", Access::by_parameters, std::nullopt, true,
     "The next attempt with this unit is made although it has passed, and its reason is recorded; what is scrapped or "
     "in quarantine stays refused. `reflash-passed` for a unit that has passed, else `rework`.",
     kUnitsAllow, "`as`: `reflash-passed` or `rework`"},
    {"units.scrap", Access::by_action, Action::scrap, true, "The unit counts as scrap, and is not flashed again.",
     kUnitsScrap, "`true`"},
    {"quarantine.list", Access::anybody, std::nullopt, false, "What must not be used.", kQuarantineList,
     "`quarantines`: `quarantine`, `kind`, `subject`, `why`, `since`, `lifted`, `lift_reason`"},
    {"quarantine.add", Access::by_parameters, std::nullopt, true,
     "Withdraws a signer (`withdraw-signer`) or an image (`withdraw-image`), or sets a unit (`rework`) or a slot "
     "(`lift-slot-quarantine`) aside.",
     kQuarantineAdd, "`quarantine`"},
    {"quarantine.lift", Access::by_parameters, std::nullopt, true,
     "It may be used again; by kind `lift-unit-quarantine` and so on.", kQuarantineLift, "`true`"},
    {"images.list", Access::anybody, std::nullopt, false, "The image store.", kNone,
     "`images`: `digest`, `name`, `bytes`, `admitted`, `policy`, `signer`, `platform_ids`, `sealed`, `withdrawn`"},
    {"images.admit", Access::by_action, Action::admit_image, true,
     "Copies a file of this machine into the store, once its signature and every byte of it are found good. Events "
     "`job` tell how far it is.",
     kImagesAdmit, "as one of `images.list`", true},
    {"images.withdraw", Access::by_action, Action::withdraw_image, true, "The image is not armed any more.",
     kImagesWithdraw, "`true`"},
    {"images.reinstate", Access::by_action, Action::lift_image_quarantine, true, "Undoes a withdrawal.",
     kImagesReinstate, "`true`"},
    {"images.remove", Access::by_action, Action::remove_image, true, "Takes the image out of the store.", kImagesRemove,
     "`true`"},
    {"jobs.list", Access::anybody, std::nullopt, false, "Jobs that wait, run or have ended, newest first.", kJobsList,
     "`jobs`: `job`, `kind` (`flash`, `inspect`, `build`), `title`, `state` (`queued`, `running`, `done`, `failed`, "
     "`cancelled`, `interrupted`), `person`, `asked`, `started`, `ended`, `error`, `confinement`, `digest` of the "
     "result; while it waits or runs `done`, `due`, `text`"},
    {"jobs.show", Access::by_action, Action::see_status, false, "One job, with what it came to.", kJobsOne,
     "as one of `jobs.list`, with `parameters`, `detail` and `result`: of an inspection its findings, of a build "
     "`file`, "
     "`bytes`, `sha256` and `report`; null where it is not kept any more"},
    {"jobs.start_inspect", Access::by_action, Action::inspect_image, true,
     "Inspects an image in a process of its own, which is confined. Events `job` tell how far it is.", kJobsInspect,
     "`job`"},
    {"jobs.start_build", Access::by_action, Action::build_image, true,
     "Makes an image in a process of its own, which is confined; it is in the jobs' folder once it is whole. Events "
     "`job` tell how far it is.",
     kJobsBuild, "`job`"},
    {"jobs.cancel", Access::by_parameters, std::nullopt, true,
     "Ends a job within a second: one's own, or any with `cancel-job`.", kJobsOne, "`true`"},
    {"attempts.list", Access::by_action, Action::see_reports, false, "Attempts of a period, newest last.",
     kAttemptsList,
     "`attempts`: `attempt`, `opened`, `closed`, `slot`, `product`, `order`, `serial`, `verdict`, `proof`, `error`, "
     "`training`; `more`: older ones were left out"},
    {"attempts.show", Access::by_action, Action::see_reports, false,
     "One attempt with all that the records have of it.", kAttemptsShow,
     "as one of `attempts.list`, with `detail`, `image`, `signer`, `steps`, `findings`, `corrections`"},
    {"attempts.correct", Access::by_action, Action::correct_record, true,
     "A note beside an attempt, which itself stays as it is.", kAttemptsCorrect, "`correction`"},
    {"findings.waive", Access::by_action, Action::waive_finding, true,
     "A failed check counts as known, for a unit or a whole product, until a day.", kFindingsWaive, "`waiver`"},
    {"findings.revoke", Access::by_action, Action::waive_finding, true, "Takes a waiver back.", kFindingsRevoke,
     "`true`"},
    {"findings.waivers", Access::anybody, std::nullopt, false, "Waivers, with those that are over.", kNone,
     "`waivers`: `waiver`, `check`, `product`, `unit`, `reason`, `role`, `given`, `expires`, `revoked`"},
    {"reports.yield", Access::by_action, Action::see_reports, false,
     "Yield of a period; docs/records.md has the definitions.", kReportsYield,
     "`report`, `station`, `training` (the records are of simulated devices), `from`, `to`, `by`, `attempts`; `rows`: "
     "`group`, `units`, `first_pass`, `first_pass_yield` (`share`, `low_95`, `high_95`; null without units), "
     "`final_pass`, `final_yield`, `attempts`, `refused`, `aborted`, `training`, `failures` (`error_id`, `attempts`)",
     true},
    {"reports.failures", Access::by_action, Action::see_reports, false,
     "Failed and incomplete attempts of a period, those first that there are most of.", kReportsFailures,
     "as `reports.yield` up to `attempts`; `failures`; `groups`: `group`, `attempts`, `units`, `share` (of all "
     "failures), `rows`: `error_id`, `class`, `step`, `attempts`, `units`, `share` (of the group), `cumulative`",
     true},
    {"reports.slots", Access::by_action, Action::see_reports, false, "How each slot did in a period.", kReportsSlots,
     "as `reports.yield` up to `to`; `attempts`; `slots`: `slot`, `attempts`, `passed`, `failed`, `incomplete`, "
     "`refused`, `aborted`, `open`, `pass_rate` (as a yield), `write` and `read_back` (`mb_per_s`, "
     "`slowest_mb_per_s`; null where nothing was moved), `failures_in_a_row`, `longest_row`, `quarantines`, "
     "`quarantined`",
     true},
    {"reports.shift", Access::by_action, Action::see_reports, false,
     "The whole account of a shift; since midnight unless told. Its head of the chain is what `audit.head` gives.",
     kReportsShift,
     "as `reports.slots`; `shift`, `date`, `hours`, `over`, `yield`, `results` (attempts by verdict), `failures`, "
     "`orders` (with `now`: the order as it stands), `scrap`, `reworked_units`, `rework`, `people` (numbers and "
     "initials), `waivers`, `quarantines`, `corrections`; `left_out` where a list has more than 500",
     true},
    {"reports.units", Access::by_action, Action::export_records, false,
     "Every attempt of a period with all that the records have of it, a page at a time.", kReportsUnits,
     "`text` (the pages' texts one after the other are the whole), `attempts`, `next` (`after` and `last` of the next "
     "page; null: that was all)",
     true},
    {"audit.list", Access::by_action, Action::see_reports, false, "What was changed, by whom, from where.", kAuditList,
     "`entries`: `entry`, `at`, `person`, `session`, `from`, `action`, `subject`, `detail`, `outcome` (`done`; "
     "`begun`, "
     "with an entry of its own for the end; `failed`, `refused` and `unknown`, with `error`), `begun` (the entry that "
     "this one ends)"},
    {"audit.head", Access::by_action, Action::export_records, true,
     "The head of the chain, to be kept outside of the station.", kAuditHead,
     "`head` (text), `signature` (Base64; empty where the station has no key), `signed`, `fingerprint` of the key, "
     "`error` (why it is not signed)",
     true},
    {"audit.key", Access::anybody, std::nullopt, false,
     "The public key by which heads are proved, and whether it works.", kNone,
     "`kind` (`file`, `token` or `none`), `good`, `fingerprint` (SHA-256 of the public key), `public_key` (PEM), "
     "`error`"},
    {"audit.verify", Access::by_action, Action::see_reports, false,
     "Proves that no row was changed, removed, reordered or cut off. Takes a few seconds for each million rows.",
     kAuditVerify,
     "`good`, `entries`, `rows`, `before_chain` (rows from before there was one), `retired`, `head`, `broken` (null, "
     "or "
     "`fault`, `entry`, `table`, `row`)",
     true},
    {"records.backup", Access::by_action, Action::backup, true,
     "A checked copy of the records, while the station goes on.", kNone, "`file`, `bytes`, `head`", true},
    {"devices.list", Access::anybody, std::nullopt, false,
     "What is at each port, which slot that is, and whether it would be opened; what `imprint devices` shows.", kNone,
     "`devices`: `port`, `state` (`ready`, `busy`, `refused`, `not ours`, `empty`, `no such port`), `slot`, `error`, "
     "`reason`, `remedy`, `at_station` (`phase`, `serial`, `words` of what the slot does, null where it is empty); of "
     "a "
     "device that is there `vendor_id`, `product_id`, `product`, `serial`, `protocol`, `speed_mbit_s`, "
     "`possible_mbit_s`, `slower_than_possible`, `simulated`, `disks`"},
    {"devices.why", Access::anybody, std::nullopt, false, "Why the device at a port cannot be used, or that it can.",
     kDevicesWhy,
     "`port`, `slot`, `state`, `good`, `simulated`, `error`, `explanation`, `remedy`, `node`, `mode`, `owner`, "
     "`group`, "
     "`drivers`, `at_station`"},
    {"flash.start", Access::by_action, Action::flash_once, true,
     "A job that flashes the devices which stand in these slots now, each once, by a recipe of these parameters. The "
     "line must not be armed. Events `slot` and `attempt` tell how far it is, and `job` that it has ended.",
     kFlashStart, "`job`; `slots`: names of those that are flashed; `policy`, `training`"},
    {"training.plug", Access::by_action, Action::arm, false,
     "A simulated device into a slot; a station for training only. While nothing is armed, `platform` and `disk_bytes` "
     "have to be told.",
     kTrainingPlug, "`serial`"},
    {"training.unplug", Access::by_action, Action::arm, false, "Takes it out again.", kTrainingUnplug, "`true`"},
    {"station.stop", Access::by_action, Action::shut_down, true,
     "Stops the station; its service manager may start it again.", kNone, "`true`"},
});

}  // namespace

std::span<const Method> all_methods() { return kMethods; }

const Method* find_method(std::string_view name) {
  const auto* const found = std::ranges::find(kMethods, name, &Method::name);
  return found == kMethods.end() ? nullptr : found;
}

}  // namespace imprint::station::methods
