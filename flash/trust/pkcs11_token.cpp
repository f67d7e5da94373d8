// SPDX-License-Identifier: GPL-3.0-or-later
// libp11's own functions, and nothing of OpenSSL's deprecated engines: module, slots, login, key, in this order, and
// everything given back in the opposite one.
#include "flash/trust/pkcs11_token.hpp"

#include <dlfcn.h>
#include <libp11.h>
#include <openssl/ui.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <span>
#include <string>
#include <system_error>
#include <utility>

#include "flash/core/text.hpp"
#include "flash/trust/certificates.hpp"
#include "flash/trust/errors.hpp"

namespace imprint::trust {
namespace {

using ContextPtr = std::unique_ptr<PKCS11_CTX, Freed<PKCS11_CTX_free>>;
using LibraryPtr = std::unique_ptr<void, Freed<dlclose>>;
using UiMethodPtr = std::unique_ptr<UI_METHOD, Freed<UI_destroy_method>>;

// Return values of C_Login that are told apart (PKCS#11 2.40, section 5.6).
constexpr int kPinIncorrect = 0xA0;
constexpr int kPinInvalid = 0xA1;
constexpr int kPinLengthRange = 0xA2;
constexpr int kPinLocked = 0xA4;

constexpr std::size_t kMaxNamed = 8;

// Held for as long as a token is in use.
class UseOfTokens {
 public:
  UseOfTokens() : held_(!in_use().test_and_set()) {}
  ~UseOfTokens() {
    if (held_) in_use().clear();
  }
  UseOfTokens(const UseOfTokens&) = delete;
  UseOfTokens& operator=(const UseOfTokens&) = delete;
  [[nodiscard]] bool held() const { return held_; }

 private:
  static std::atomic_flag& in_use() {
    static std::atomic_flag flag;
    return flag;
  }
  bool held_;
};

std::string text_of(const char* text) { return text == nullptr ? std::string() : core::printable(text); }

std::string joined(const std::vector<std::string>& names) {
  std::string out;
  for (std::size_t i = 0; i < names.size() && i < kMaxNamed; ++i) out += (i == 0 ? "" : ", ") + names[i];
  return names.size() > kMaxNamed ? out + ", ..." : out;
}

std::vector<std::string> module_candidates(const Pkcs11Uri& uri) {
  if (uri.module_path) return {uri.module_path->native()};
  // p11-kit's proxy stands for all modules that are set up on this machine; its library is the proxy under another
  // name.
  if (!uri.module_name) return {"p11-kit-proxy.so", IMPRINT_LIBRARY_FOLDER "/p11-kit-proxy.so", "libp11-kit.so.0"};
  std::vector<std::string> out;
  for (const char* folder : {"", IMPRINT_LIBRARY_FOLDER "/pkcs11/", IMPRINT_LIBRARY_FOLDER "/softhsm/",
                             "/usr/lib/pkcs11/", "/usr/lib/softhsm/", "/usr/local/lib/"}) {
    out.push_back(folder + *uri.module_name + ".so");
    out.push_back(std::string(folder) + "lib" + *uri.module_name + ".so");
  }
  return out;
}

std::string name_of(const PKCS11_TOKEN& token) {
  return "token=" + text_of(token.label) + " serial=" + text_of(token.serialnr);
}

std::string name_of(const PKCS11_KEY& key) {
  return "object=" + text_of(key.label) + " id=" + core::to_hex({key.id, key.id_len});
}

bool fits(const std::optional<std::string>& wanted, const char* actual) {
  return !wanted || (actual != nullptr && *wanted == actual);
}

bool fits(const Pkcs11Uri& uri, PKCS11_SLOT& slot) {
  const PKCS11_TOKEN* token = slot.token;
  return token != nullptr && token->initialized != 0 && fits(uri.token, token->label) &&
         fits(uri.serial, token->serialnr) && fits(uri.model, token->model) &&
         fits(uri.manufacturer, token->manufacturer) &&
         (!uri.slot_id || *uri.slot_id == PKCS11_get_slotid_from_slot(&slot));
}

bool fits(const Pkcs11Uri& uri, const PKCS11_KEY& key) {
  return fits(uri.object, key.label) && (!uri.id || std::ranges::equal(*uri.id, core::ByteView(key.id, key.id_len)));
}

// Keys that ask for the PIN again before each signature (CKA_ALWAYS_AUTHENTICATE) get it from here: libp11 would ask on
// the terminal.
int give_pin(UI* ui, UI_STRING* question) noexcept {
  const auto* pin = static_cast<const std::optional<Secret>*>(UI_get0_user_data(ui));
  if (UI_get_string_type(question) != UIT_PROMPT) return 1;
  return pin != nullptr && *pin && UI_set_result(ui, question, (*pin)->c_str()) == 0 ? 1 : 0;
}

core::Failure unusable(std::string_view step) {
  return fail("sign.token-unusable", std::string(step) + ": " + openssl_reason());
}

}  // namespace

struct Pkcs11Token::State {
  State() = default;
  ~State();
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  [[nodiscard]] core::Status load(const Pkcs11Uri& uri);
  [[nodiscard]] core::Status find_slot(const Pkcs11Uri& uri);
  [[nodiscard]] core::Status log_in();
  [[nodiscard]] core::Failure login_failure(int reason);
  [[nodiscard]] core::Status find_key(const Pkcs11Uri& uri);

  UseOfTokens use;
  std::optional<Secret> pin;
  UiMethodPtr ui_method;
  ContextPtr context;
  bool loaded = false;
  PKCS11_SLOT* slots = nullptr;
  unsigned int slot_count = 0;
  PKCS11_SLOT* slot = nullptr;
  PKCS11_KEY* key = nullptr;
};

Pkcs11Token::State::~State() {
  const ErrorQueueGuard guard;
  if (slots != nullptr) PKCS11_release_all_slots(context.get(), slots, slot_count);
  if (loaded) PKCS11_CTX_unload(context.get());
}

core::Status Pkcs11Token::State::load(const Pkcs11Uri& uri) {
  std::string last;
  for (const std::string& candidate : module_candidates(uri)) {
    std::error_code ignored;
    if (candidate.starts_with('/') && !std::filesystem::exists(candidate, ignored)) continue;
    // libp11 prints the loader's words to standard error, so it only gets modules that are known to load.
    const LibraryPtr library(dlopen(candidate.c_str(), RTLD_LAZY | RTLD_LOCAL));
    if (!library) {
      last = text_of(dlerror());
      continue;
    }
    context.reset(PKCS11_CTX_new());
    if (!context) return unusable("libp11");
    if (PKCS11_CTX_load(context.get(), candidate.c_str()) == 0) {
      loaded = true;
      break;
    }
    last = openssl_reason();
  }
  if (!loaded) {
    const std::string wanted = uri.module_path   ? uri.module_path->native()
                               : uri.module_name ? core::printable(*uri.module_name)
                                                 : std::string("p11-kit's proxy");
    return fail("sign.module-unusable", last.empty() ? "it is not there" : last).with("module", wanted);
  }
  ui_method.reset(UI_create_method("imprint PIN"));
  if (!ui_method || UI_method_set_reader(ui_method.get(), give_pin) != 0 ||
      PKCS11_set_ui_method(context.get(), ui_method.get(), &pin) != 0) {
    return unusable("libp11");
  }
  return {};
}

core::Status Pkcs11Token::State::find_slot(const Pkcs11Uri& uri) {
  if (PKCS11_enumerate_slots(context.get(), &slots, &slot_count) != 0) return unusable("listing the tokens");
  std::vector<PKCS11_SLOT*> fitting;
  std::vector<std::string> others;
  for (unsigned int i = 0; i < slot_count; ++i) {
    if (fits(uri, slots[i])) {
      fitting.push_back(&slots[i]);
    } else if (slots[i].token != nullptr && slots[i].token->initialized != 0) {
      others.push_back(name_of(*slots[i].token));
    }
  }
  // p11-kit shows certificate stores as tokens, too: those ask for no login and hold no keys.
  if (fitting.size() > 1) {
    const auto asks_login = [](const PKCS11_SLOT* candidate) { return candidate->token->loginRequired != 0; };
    if (std::ranges::any_of(fitting, asks_login)) std::erase_if(fitting, std::not_fn(asks_login));
  }
  if (fitting.empty()) {
    return fail("sign.token-not-found", others.empty() ? "there is no token" : "found: " + joined(others));
  }
  if (fitting.size() > 1) {
    std::vector<std::string> names;
    names.reserve(fitting.size());
    for (const PKCS11_SLOT* candidate : fitting) names.push_back(name_of(*candidate->token));
    return fail("sign.token-ambiguous", joined(names));
  }
  slot = fitting.front();
  return {};
}

core::Failure Pkcs11Token::State::login_failure(int reason) {
  const std::string words = openssl_reason();
  const std::string name = slot->token == nullptr ? std::string("the token") : name_of(*slot->token);
  if (reason == kPinLocked) return fail("sign.pin-locked", name);
  const bool wrong = reason == kPinIncorrect || reason == kPinInvalid || reason == kPinLengthRange;
  if (!wrong) return fail("sign.token-unusable", "logging in: " + words).with("token", name);
  // The standard has no count of tries, only marks; the list is read anew to see them as they are now.
  const auto slot_id = PKCS11_get_slotid_from_slot(slot);
  slot = nullptr;
  PKCS11_release_all_slots(context.get(), std::exchange(slots, nullptr), std::exchange(slot_count, 0));
  if (PKCS11_enumerate_slots(context.get(), &slots, &slot_count) != 0) return fail("sign.pin-wrong", name);
  for (unsigned int i = 0; i < slot_count; ++i) {
    const PKCS11_TOKEN* token = slots[i].token;
    if (token == nullptr || PKCS11_get_slotid_from_slot(&slots[i]) != slot_id) continue;
    if (token->userPinLocked != 0) return fail("sign.pin-locked", "by this try: " + name);
    if (token->userPinFinalTry != 0) return fail("sign.pin-wrong", "ONE TRY IS LEFT before it is locked: " + name);
    if (token->userPinCountLow != 0) return fail("sign.pin-wrong", "few tries are left before it is locked: " + name);
  }
  return fail("sign.pin-wrong", name);
}

core::Status Pkcs11Token::State::log_in() {
  if (slot == nullptr || slot->token == nullptr) return fail("sign.token-unusable", "it is gone");
  const PKCS11_TOKEN& token = *slot->token;
  if (PKCS11_open_session(slot, 0) != 0) return unusable("opening a session");
  if (token.loginRequired == 0) return {};
  if (token.userPinLocked != 0) return fail("sign.pin-locked", name_of(token));
  // Were it wrong, the token would be lost to the line; its own tool tells the user so first.
  if (token.userPinFinalTry != 0) return fail("sign.pin-final-try", name_of(token));
  const bool has_keypad = token.secureLogin != 0;
  if (!has_keypad) {
    if (!pin) return fail("sign.pin-needed", name_of(token));
    if (pin->holds_nul()) return fail("sign.pin-wrong", "there is a NUL byte in it");
  }
  ERR_clear_error();
  if (PKCS11_login(slot, 0, has_keypad ? nullptr : pin->c_str()) == 0) return {};
  const auto code = ERR_peek_last_error();
  return login_failure(ERR_GET_LIB(code) == ERR_get_CKR_code() ? ERR_GET_REASON(code) : 0);
}

core::Status Pkcs11Token::State::find_key(const Pkcs11Uri& uri) {
  if (slot == nullptr || slot->token == nullptr) return fail("sign.token-unusable", "it is gone");
  PKCS11_KEY* keys = nullptr;
  unsigned int count = 0;
  if (PKCS11_enumerate_keys(slot->token, &keys, &count) != 0) return unusable("listing the keys");
  std::vector<std::string> fitting;
  std::vector<std::string> others;
  for (unsigned int i = 0; i < count; ++i) {
    const bool fit = fits(uri, keys[i]);
    if (fit) key = &keys[i];
    (fit ? fitting : others).push_back(name_of(keys[i]));
  }
  if (fitting.empty()) {
    return fail("sign.token-key-not-found", others.empty() ? "it holds no private key" : "found: " + joined(others));
  }
  if (fitting.size() > 1) return fail("sign.token-key-ambiguous", joined(fitting));
  return {};
}

Pkcs11Token::Pkcs11Token(std::unique_ptr<State> state) : state_(std::move(state)) {}
Pkcs11Token::~Pkcs11Token() = default;

core::Result<std::unique_ptr<Pkcs11Token>> Pkcs11Token::open(const Pkcs11Uri& uri, std::optional<Secret> pin) {
  const ErrorQueueGuard guard;
  auto state = std::make_unique<State>();
  if (!state->use.held()) return fail("sign.token-busy");
  if (!pin && uri.pin_source) {
    IMPRINT_TRY(pin, Secret::read_line(*uri.pin_source));
  }
  state->pin = std::move(pin);
  IMPRINT_CHECK(state->load(uri));
  IMPRINT_CHECK(state->find_slot(uri));
  IMPRINT_CHECK(state->log_in());
  IMPRINT_CHECK(state->find_key(uri));
  return std::unique_ptr<Pkcs11Token>(new Pkcs11Token(std::move(state)));
}

core::Result<KeyPtr> Pkcs11Token::key() const {
  const ErrorQueueGuard guard;
  KeyPtr out(PKCS11_get_private_key(state_->key));
  if (!out) return unusable("reading the public part of " + name_of(*state_->key));
  return out;
}

core::Result<std::vector<X509Ptr>> Pkcs11Token::certificates() const {
  const ErrorQueueGuard guard;
  if (state_->slot == nullptr || state_->slot->token == nullptr) return fail("sign.token-unusable", "it is gone");
  PKCS11_CERT* found = nullptr;
  unsigned int count = 0;
  if (PKCS11_enumerate_certs(state_->slot->token, &found, &count) != 0) return unusable("listing the certificates");
  const std::span all(found, count);
  const core::ByteView id(state_->key->id, state_->key->id_len);
  std::vector<X509Ptr> out;
  const auto take = [&out](const PKCS11_CERT& certificate) {
    X509_up_ref(certificate.x509);
    out.emplace_back(certificate.x509);
  };
  const auto own = std::ranges::find_if(all, [&id](const PKCS11_CERT& candidate) {
    return candidate.x509 != nullptr && !id.empty() &&
           std::ranges::equal(id, core::ByteView(candidate.id, candidate.id_len));
  });
  if (own == all.end()) return fail("sign.token-certificate-not-found", name_of(*state_->key));
  take(*own);
  // Each step takes a certificate that is not there yet, so that the walk ends.
  while ((X509_get_extension_flags(out.back().get()) & EXFLAG_SS) == 0) {
    const auto issuer = std::ranges::find_if(all, [&out](const PKCS11_CERT& candidate) {
      return candidate.x509 != nullptr && X509_check_issued(candidate.x509, out.back().get()) == X509_V_OK &&
             std::ranges::none_of(out, [&](const X509Ptr& one) { return X509_cmp(one.get(), candidate.x509) == 0; });
    });
    if (issuer == all.end()) break;
    take(*issuer);
  }
  return out;
}

}  // namespace imprint::trust
