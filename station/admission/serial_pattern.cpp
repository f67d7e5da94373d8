// SPDX-License-Identifier: GPL-3.0-or-later
// Thompson's construction, and all states at once.
#include "station/admission/serial_pattern.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include "station/admission/errors.hpp"

namespace imprint::station::admission {

// Recursive descent over the pattern. Each piece is compiled in front of a state that it leads to, and from the back,
// so that a repeat is the same piece of text compiled several times.
class PatternCompiler {
 public:
  explicit PatternCompiler(std::string_view text) { out_.text_ = std::string(text); }

  core::Result<SerialPattern> compile() {
    if (text().empty() || text().size() > SerialPattern::kMaxText)
      return fail("serial.pattern-invalid", "a pattern has 1 to 256 characters");
    for (std::size_t i = 0; i < text().size(); ++i) {
      const auto c = static_cast<unsigned char>(text()[i]);
      if (c < 0x20 || c > 0x7E) return invalid(i, "only printable ASCII is known here");
    }
    IMPRINT_TRY(const std::size_t end, skip_choice(0, 0));
    if (end != text().size()) return invalid(end, "the bracket was not opened");
    IMPRINT_TRY(const std::uint32_t match, add({}));
    IMPRINT_TRY(out_.start_, build_choice(0, end, match));
    return std::move(out_);
  }

 private:
  struct Repeat {
    unsigned least = 1;
    std::optional<unsigned> most = 1;  // nothing: without end
    std::size_t end = 0;               // behind it in the text
  };
  static constexpr unsigned kMaxRepeat = 256;

  [[nodiscard]] std::string_view text() const { return out_.text_; }
  core::Failure invalid(std::size_t at, std::string why) const {
    return fail("serial.pattern-invalid", std::move(why)).with("pattern", text()).with("column", at + 1);
  }

  core::Failure too_long() const { return invalid(0, "the repeats make it too long: it may have 4096 places in all"); }

  core::Result<std::uint32_t> add(SerialPattern::State state) {
    if (out_.states_.size() >= SerialPattern::kMaxStates) return too_long();
    out_.states_.push_back(state);
    return static_cast<std::uint32_t>(out_.states_.size() - 1);
  }

  // The first pass: where each part ends, and that it is well-formed. The second builds and only asks for ends.
  core::Result<std::size_t> skip_choice(std::size_t at, unsigned depth) const {
    if (depth > SerialPattern::kMaxDepth) return invalid(at, "there are too many brackets within each other");
    while (true) {
      while (at < text().size() && text()[at] != '|' && text()[at] != ')') {
        IMPRINT_TRY(const std::size_t end, skip_atom(at, depth));
        IMPRINT_TRY(const Repeat repeat, read_repeat(end));
        at = repeat.end;
      }
      if (at >= text().size() || text()[at] == ')') return at;
      ++at;
    }
  }

  core::Result<std::size_t> skip_atom(std::size_t at, unsigned depth) const {
    switch (text()[at]) {
      case '(': {
        IMPRINT_TRY(const Inside inside, inside_of(at));
        IMPRINT_TRY(const std::size_t end, skip_choice(inside.at, depth + 1));
        if (end >= text().size()) return invalid(at, "the bracket is not closed");
        return end + 1;
      }
      case '*':
      case '+':
      case '?':
      case '{':
        return invalid(at, "there is nothing in front that could be repeated");
      case '^':
      case '$':
        return invalid(at, "the whole serial is always matched: leave ^ and $ out, or write a \\ in front");
      default: {
        IMPRINT_TRY(const auto set, read_set(at));
        return set.second;
      }
    }
  }

  // Where the text in a bracket begins, and which part it names.
  struct Inside {
    std::size_t at = 0;
    std::optional<std::size_t> part;
  };
  core::Result<Inside> inside_of(std::size_t open) const {
    const std::string_view rest = text().substr(open + 1);
    if (!rest.starts_with('?')) return Inside{open + 1, std::nullopt};
    for (std::size_t part = 0; part < SerialPattern::kPartNames.size(); ++part) {
      const std::string head = "?<" + std::string(SerialPattern::kPartNames[part]) + ">";
      if (rest.starts_with(head)) return Inside{open + 1 + head.size(), part};
    }
    return invalid(open, "a part of the label is named (?<serial>...) or (?<mac>...)");
  }

  core::Result<Repeat> read_repeat(std::size_t at) const {
    Repeat repeat{.least = 1, .most = 1, .end = at};
    if (at >= text().size()) return repeat;
    switch (text()[at]) {
      case '?':
        repeat = {.least = 0, .most = 1, .end = at + 1};
        break;
      case '*':
        repeat = {.least = 0, .most = std::nullopt, .end = at + 1};
        break;
      case '+':
        repeat = {.least = 1, .most = std::nullopt, .end = at + 1};
        break;
      case '{': {
        IMPRINT_TRY(repeat, read_counts(at));
        break;
      }
      default:
        return repeat;
    }
    constexpr std::string_view kRepeats = "?*+{";
    if (repeat.end < text().size() && kRepeats.find(text()[repeat.end]) != std::string_view::npos)
      return invalid(repeat.end, "a repeat of a repeat: put brackets around the first");
    return repeat;
  }

  core::Result<Repeat> read_counts(std::size_t open) const {
    const std::size_t close = text().find('}', open);
    if (close == std::string_view::npos) return invalid(open, "the bracket is not closed");
    const std::string_view inner = text().substr(open + 1, close - open - 1);
    const std::size_t comma = inner.find(',');
    const auto least = count_of(inner.substr(0, comma));
    const auto most = comma == std::string_view::npos ? least : count_of(inner.substr(comma + 1));
    const bool without_end = comma != std::string_view::npos && comma + 1 == inner.size();
    if (!least || (!most && !without_end))
      return invalid(open, "a repeat is {n}, {n,} or {n,m}, with numbers up to 256");
    if (!without_end && *most < *least) return invalid(open, "the second number is smaller than the first");
    return Repeat{*least, without_end ? std::nullopt : most, close + 1};
  }

  static std::optional<unsigned> count_of(std::string_view digits) {
    if (digits.empty() || digits.size() > 3) return std::nullopt;
    unsigned value = 0;
    for (const char c : digits) {
      if (c < '0' || c > '9') return std::nullopt;
      value = value * 10 + static_cast<unsigned>(c - '0');
    }
    return value <= kMaxRepeat ? std::optional(value) : std::nullopt;
  }

  using Set = SerialPattern::Set;
  // One character of the serial: which it may be, and where its text ends.
  core::Result<std::pair<Set, std::size_t>> read_set(std::size_t at) const {
    Set set;
    if (text()[at] == '[') return read_class(at);
    if (text()[at] == '.') {
      for (unsigned c = 0x20; c < 0x7F; ++c) set.set(c);
      return std::pair{set, at + 1};
    }
    if (text()[at] == ']' || text()[at] == '}') return invalid(at, "the bracket was not opened");
    if (text()[at] == '\\') {
      IMPRINT_CHECK(read_escape(at, set));
      return std::pair{set, at + 2};
    }
    set.set(static_cast<unsigned char>(text()[at]));
    return std::pair{set, at + 1};
  }

  core::Status read_escape(std::size_t at, Set& set) const {
    if (at + 1 >= text().size()) return invalid(at, "there is nothing behind the \\");
    const char c = text()[at + 1];
    if (c == 'd') {
      for (char digit = '0'; digit <= '9'; ++digit) set.set(static_cast<unsigned char>(digit));
      return {};
    }
    if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'))
      return invalid(at, "of letters and digits only \\d is known; write a class such as [A-Z0-9]");
    set.set(static_cast<unsigned char>(c));
    return {};
  }

  // [A-Z0-9_], [^...]; a \ stands before ] \ ^ and -.
  core::Result<std::pair<Set, std::size_t>> read_class(std::size_t open) const {
    Set set;
    std::size_t at = open + 1;
    const bool others = at < text().size() && text()[at] == '^';
    if (others) ++at;
    const std::size_t first = at;
    while (at < text().size() && text()[at] != ']') {
      IMPRINT_TRY(const auto from, class_character(at, set));
      at += text()[at] == '\\' ? 2 : 1;
      const bool is_range = from && at + 1 < text().size() && text()[at] == '-' && text()[at + 1] != ']';
      if (!is_range) continue;
      const std::size_t upper = at + 1;
      IMPRINT_TRY(const auto to, class_character(upper, set));
      if (!to || *to < *from) return invalid(upper, "a range goes from a lower to a higher character");
      for (unsigned c = *from; c <= *to; ++c) set.set(c);
      at = upper + (text()[upper] == '\\' ? 2 : 1);
    }
    if (at >= text().size()) return invalid(open, "the bracket is not closed");
    if (at == first) return invalid(open, "the class is empty");
    if (others) {
      set.flip();
      for (unsigned c = 0; c < set.size(); ++c) {
        if (c < 0x20 || c > 0x7E) set.reset(c);
      }
    }
    return std::pair{set, at + 1};
  }

  // Puts the character into the set; its code, or nothing for \d, which begins no range.
  core::Result<std::optional<unsigned>> class_character(std::size_t at, Set& set) const {
    if (text()[at] == '\\') {
      IMPRINT_CHECK(read_escape(at, set));
      if (text()[at + 1] == 'd') return std::optional<unsigned>{};
      return std::optional<unsigned>(static_cast<unsigned char>(text()[at + 1]));
    }
    set.set(static_cast<unsigned char>(text()[at]));
    return std::optional<unsigned>(static_cast<unsigned char>(text()[at]));
  }

  // Alternatives from `at` up to `end`, each leading to `next`.
  core::Result<std::uint32_t> build_choice(std::size_t at, std::size_t end, std::uint32_t next) {
    std::optional<std::uint32_t> start;
    while (true) {
      std::vector<std::size_t> atoms;
      IMPRINT_TRY(const std::size_t stop, ends_of_sequence(at, end, atoms));
      std::uint32_t sequence = next;
      for (auto atom = atoms.rbegin(); atom != atoms.rend(); ++atom) {
        IMPRINT_TRY(sequence, build_repeated(*atom, sequence));
      }
      if (start) {
        IMPRINT_TRY(start, add({SerialPattern::State::Kind::fork, *start, sequence, 0}));
      } else {
        start = sequence;
      }
      if (stop >= end) return *start;
      at = stop + 1;
    }
  }

  // Where the atoms of one alternative begin, and where it ends.
  core::Result<std::size_t> ends_of_sequence(std::size_t at, std::size_t end, std::vector<std::size_t>& atoms) const {
    while (at < end && text()[at] != '|') {
      atoms.push_back(at);
      IMPRINT_TRY(const std::size_t atom_end, skip_atom(at, 0));
      IMPRINT_TRY(const Repeat repeat, read_repeat(atom_end));
      at = repeat.end;
    }
    return at;
  }

  core::Result<std::uint32_t> build_repeated(std::size_t at, std::uint32_t next) {
    IMPRINT_TRY(const std::size_t end, skip_atom(at, 0));
    IMPRINT_TRY(const Repeat repeat, read_repeat(end));
    std::uint32_t start = next;
    if (!repeat.most) {
      IMPRINT_TRY(const std::uint32_t loop, add({SerialPattern::State::Kind::fork, next, next, 0}));
      IMPRINT_TRY(const std::uint32_t body, build_atom(at, end, loop));
      out_.states_[loop].next = body;
      start = loop;
    } else {
      // a{2,4} is aa(a(a)?)?: each of the optional ones may be the last.
      for (unsigned i = repeat.least; i < *repeat.most; ++i) {
        IMPRINT_TRY(const std::uint32_t body, build_atom(at, end, start));
        IMPRINT_TRY(start, add({SerialPattern::State::Kind::fork, body, next, 0}));
      }
    }
    for (unsigned i = 0; i < repeat.least; ++i) {
      IMPRINT_TRY(start, build_atom(at, end, start));
    }
    return start;
  }

  core::Result<std::uint32_t> build_atom(std::size_t at, std::size_t end, std::uint32_t next) {
    // Counted apart from states: repeats of nothing, as in ((){256}){256}, make none and would never end.
    if (++pieces_ > SerialPattern::kMaxStates) return too_long();
    if (text()[at] == '(') {
      IMPRINT_TRY(const Inside inside, inside_of(at));
      if (inside.part) return build_part(at, *inside.part, inside.at, end - 1, next);
      return build_choice(inside.at, end - 1, next);
    }
    IMPRINT_TRY(const auto set, read_set(at));
    auto known = std::ranges::find(out_.sets_, set.first);
    if (known == out_.sets_.end()) known = out_.sets_.insert(out_.sets_.end(), set.first);
    return add({SerialPattern::State::Kind::one_of, next, 0, static_cast<std::uint32_t>(known - out_.sets_.begin())});
  }

  core::Result<std::uint32_t> build_part(std::size_t open, std::size_t part, std::size_t at, std::size_t end,
                                         std::uint32_t next) {
    using Kind = SerialPattern::State::Kind;
    if (named_at_[part].value_or(open) != open) return invalid(open, "this part is named twice");
    named_at_[part] = open;
    out_.names_[part] = true;
    const auto mark = static_cast<std::uint32_t>(2 * part);
    IMPRINT_TRY(const std::uint32_t last, add({Kind::mark, next, 0, mark + 1}));
    IMPRINT_TRY(const std::uint32_t body, build_choice(at, end, last));
    return add({Kind::mark, body, 0, mark});
  }

  SerialPattern out_;
  std::size_t pieces_ = 0;
  std::array<std::optional<std::size_t>, SerialPattern::kPartNames.size()> named_at_;  // in the text
};

core::Result<SerialPattern> SerialPattern::compile(std::string_view text) { return PatternCompiler(text).compile(); }

void SerialPattern::follow(std::uint32_t state, std::vector<std::uint32_t>& reached, std::vector<bool>& seen) const {
  std::vector<std::uint32_t> open{state};
  while (!open.empty()) {
    const std::uint32_t at = open.back();
    open.pop_back();
    if (seen[at]) continue;
    seen[at] = true;
    if (states_[at].kind == State::Kind::fork) {
      open.push_back(states_[at].next);
      open.push_back(states_[at].other);
    } else if (states_[at].kind == State::Kind::mark) {
      open.push_back(states_[at].next);
    } else {
      reached.push_back(at);
    }
  }
}

bool SerialPattern::matches(std::string_view text) const {
  std::vector<std::uint32_t> now;
  std::vector<bool> seen(states_.size());
  follow(start_, now, seen);
  for (const char c : text) {
    const auto code = static_cast<unsigned char>(c);
    std::vector<std::uint32_t> next;
    seen.assign(states_.size(), false);
    for (const std::uint32_t state : now) {
      const State& at = states_[state];
      if (at.kind == State::Kind::one_of && code < 128 && sets_[at.set].test(code)) follow(at.next, next, seen);
    }
    now = std::move(next);
    if (now.empty()) return false;
  }
  return std::ranges::any_of(now, [this](std::uint32_t state) { return states_[state].kind == State::Kind::match; });
}

void SerialPattern::follow(Way way, std::size_t at, std::vector<Way>& reached, std::vector<bool>& seen) const {
  std::vector<Way> open{way};
  while (!open.empty()) {
    Way now = open.back();
    open.pop_back();
    if (seen[now.state]) continue;
    seen[now.state] = true;
    const State& state = states_[now.state];
    switch (state.kind) {
      case State::Kind::fork:
        open.push_back({state.other, now.marks});
        open.push_back({state.next, now.marks});
        break;
      case State::Kind::mark:
        now.marks[state.set] = at;
        open.push_back({state.next, now.marks});
        break;
      case State::Kind::one_of:
      case State::Kind::match:
        reached.push_back(now);
        break;
    }
  }
}

std::optional<SerialPattern::Parts> SerialPattern::parts_of(std::string_view text) const {
  std::vector<Way> now;
  std::vector<bool> seen(states_.size());
  Way start{.state = start_};
  start.marks.fill(kNowhere);
  follow(start, 0, now, seen);
  for (std::size_t at = 0; at < text.size(); ++at) {
    const auto code = static_cast<unsigned char>(text[at]);
    std::vector<Way> next;
    seen.assign(states_.size(), false);
    for (const Way& way : now) {
      const State& state = states_[way.state];
      if (state.kind == State::Kind::one_of && code < 128 && sets_[state.set].test(code))
        follow({state.next, way.marks}, at + 1, next, seen);
    }
    now = std::move(next);
  }
  const auto best =
      std::ranges::find_if(now, [this](const Way& way) { return states_[way.state].kind == State::Kind::match; });
  if (best == now.end()) return std::nullopt;
  const auto part = [&](std::size_t which) -> std::optional<std::string_view> {
    const std::size_t from = best->marks[2 * which];
    const std::size_t to = best->marks[2 * which + 1];
    if (from == kNowhere || to == kNowhere || to < from) return std::nullopt;
    return text.substr(from, to - from);
  };
  return Parts{part(kSerial), part(kMac)};
}

}  // namespace imprint::station::admission
