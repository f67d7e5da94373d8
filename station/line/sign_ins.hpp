// SPDX-License-Identifier: GPL-3.0-or-later
// Who is signed in: people of the records, their PINs, and a token for each sign-in, by which a client that lost its
// connection is the same person again. Tokens live in memory only: a restart signs everybody out.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "db/people.hpp"
#include "flash/core/result.hpp"
#include "flash/trust/secret.hpp"
#include "station/people/attempt_limiter.hpp"
#include "station/people/permissions.hpp"
#include "station/people/pin.hpp"

namespace imprint::station::line {

struct SignedIn {
  std::string token;  // 32 hexadecimal digits, a secret
  db::OperatorId person = 0;
  db::SessionId session = 0;
  std::string name;
  people::Standing standing;
  [[nodiscard]] db::Actor actor() const { return {person, session}; }
};

struct SignInRules {
  people::PinRules pin{};
  people::AttemptRules attempts{};
  std::chrono::milliseconds sign_out_after{0};  // without a touch; 0: never
};

// Thread-safe. Checking a PIN takes some 100 ms of a processor.
class SignIns {
 public:
  using Clock = std::chrono::steady_clock;
  // The records outlive it.
  SignIns(
      db::Records& records, const SignInRules& rules,
      const std::function<Clock::time_point()>& now = [] { return Clock::now(); });

  // Called within the transaction of what it is about, for a row that is kept with it or not at all. Takes no lock.
  using Also = std::function<core::Status(const SignedIn& who)>;

  // By name, or by badge. Without a PIN somebody is signed in by the badge alone, and signs nothing; a name needs a
  // PIN. The answer to an unknown name, a disabled person and a wrong PIN is the same, `people.pin-wrong`.
  // `people.too-soon`, `people.locked`.
  [[nodiscard]] core::Result<SignedIn> by_name(const std::string& name, const trust::Secret& pin,
                                               const std::string& from, const Also& also = {});
  [[nodiscard]] core::Result<SignedIn> by_badge(const std::string& badge, const std::optional<trust::Secret>& pin,
                                                const std::string& from, const Also& also = {});
  // The same sign-in once more; counts as a touch. `people.session-ended`.
  [[nodiscard]] core::Result<SignedIn> resume(std::string_view token);
  // The same without a touch: who is it?
  [[nodiscard]] core::Result<SignedIn> look(std::string_view token) const;
  // Whoever touched something last, for devices that are put in: putting one in is a touch. Nothing: nobody is there.
  [[nodiscard]] std::optional<db::Actor> at_work();
  [[nodiscard]] core::Status sign_out(std::string_view token, const std::string& why, const Also& also = {});
  // Ends those who have not touched anything for too long, and those who may not any more; how many.
  std::size_t end_idle();
  // Ends all of a person: disabled, or with another role or PIN.
  void end_all_of(db::OperatorId person, const std::string& why);

  // A station that has nobody: its first engineer. `people.first-done`, `people.pin-refused`.
  [[nodiscard]] core::Result<db::OperatorId> make_first(const std::string& name, const trust::Secret& pin,
                                                        const Also& also = {});
  // Ends all sign-ins of the person, and unlocks it. `people.pin-refused`.
  [[nodiscard]] core::Status set_pin(db::OperatorId person, const trust::Secret& pin, const Also& also = {});
  // By the person itself. `people.pin-wrong` and the others of a sign-in besides.
  [[nodiscard]] core::Status change_pin(db::OperatorId person, const trust::Secret& old_pin, const trust::Secret& pin,
                                        const std::string& from, const Also& also = {});
  // Could somebody else still manage people, if this one could not?
  [[nodiscard]] core::Result<bool> is_last_manager(db::OperatorId person) const;
  void unlock(db::OperatorId person);
  [[nodiscard]] bool is_locked(db::OperatorId person) const;
  // Names of those who are signed in, and since when nobody knows: for screens.
  [[nodiscard]] std::vector<SignedIn> everybody() const;

 private:
  struct Entry {
    SignedIn who;
    Clock::time_point touched;
  };
  // What a sign-in was begun with: all that ends a person's sign-ins from then on ends this one, too.
  struct Entrance {
    std::string from;
    std::uint64_t endings = 0;
    const Also& also;
  };
  [[nodiscard]] Entrance begin(const std::string& from, const Also& also) const;
  [[nodiscard]] core::Result<SignedIn> enter(const db::Person& person, bool gave_pin, const Entrance& entrance);
  [[nodiscard]] core::Status verify(const std::optional<db::Person>& person, const std::string& who,
                                    const trust::Secret& pin, const std::string& from);
  [[nodiscard]] core::Result<SignedIn> with_pin(const std::optional<db::Person>& person, const std::string& who,
                                                const trust::Secret& pin, const Entrance& entrance);
  [[nodiscard]] static core::Status check(const std::optional<std::string>& stored, const trust::Secret& pin);
  [[nodiscard]] core::Status check_still(db::OperatorId person, const std::optional<std::string>& stored) const;

  void note_wrong_pin(const std::string& subject, const std::string& from) const;
  void restore_counts();

  db::Records& records_;
  db::People people_;
  SignInRules rules_;
  std::function<Clock::time_point()> now_;
  people::AttemptLimiter limiter_;
  std::mutex first_mutex_;
  mutable std::mutex mutex_;
  std::map<std::string, Entry, std::less<>> entries_;
  std::uint64_t endings_ = 0;                      // how often somebody's sign-ins were ended
  std::map<db::OperatorId, std::uint64_t> ended_;  // and the last of them by person
};

}  // namespace imprint::station::line
