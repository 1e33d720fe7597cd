#define PCRE2_CODE_UNIT_WIDTH 8
#include "engine/text/budget_regex.h"

#include <pcre2.h>

#include <algorithm>
#include <chrono>

namespace conclave::engine::text {
namespace {

using base::Code;
using base::Error;

// One attempt at one place: a real pattern backtracks a few hundred times at most.
constexpr uint32_t kMatchLimit = 200'000;
constexpr uint32_t kDepthLimit = 20'000;
constexpr uint32_t kHeapKiB = 64 * 1024;
constexpr size_t kJitStackStart = 32 * 1024, kJitStackMost = size_t{64} << 20;
constexpr size_t kPatternBytes = 64 * 1024;
// A whole text: at least this long, and longer for long texts.
constexpr std::chrono::milliseconds kTimeAlways{500};
constexpr std::chrono::milliseconds kTimePerMiB{300};
constexpr unsigned kAttemptsBetweenClocks = 32;

struct FreeCode {
    void operator()(pcre2_code* code) const { pcre2_code_free(code); }
};
struct FreeData {
    void operator()(pcre2_match_data* data) const { pcre2_match_data_free(data); }
};
struct FreeContext {
    void operator()(pcre2_match_context* context) const { pcre2_match_context_free(context); }
};
struct FreeStack {
    void operator()(pcre2_jit_stack* stack) const { pcre2_jit_stack_free(stack); }
};

/// What PCRE2 would read in another way than Oniguruma, or nothing.
const char* differs(std::string_view pattern) {
    bool bracket = false;
    for (size_t i = 0; i < pattern.size(); ++i) {
        const char c = pattern[i];
        if (c == '\\') {
            if (++i == pattern.size()) break;
            constexpr std::string_view kDiffer = "hHvVNRXKGkgQECyYMm0123456789";
            if (kDiffer.find(pattern[i]) != std::string_view::npos)
                return "an escape that dialects disagree about";
            // The braces of \p{L} and \x{41} are no repetition.
            if (pattern.substr(i + 1, 1) == "{") i = std::min(pattern.find('}', i), pattern.size());
            continue;
        }
        if (!bracket && c == '[') {
            bracket = true;
            if (i + 1 < pattern.size() && pattern[i + 1] == '^') ++i;
            continue;
        }
        if (bracket && c == ']') bracket = false;
        if (bracket && c == '[') return "a class inside a class";
        if (bracket && c == '&' && pattern.substr(i, 2) == "&&") return "an intersection of classes";
        if (!bracket && c == '}' && i + 1 < pattern.size() && pattern[i + 1] == '+')
            return "a repeated repetition";
        if (!bracket && c == '(' && pattern.substr(i, 2) == "(*") return "a control verb";
    }
    return nullptr;
}

}  // namespace

struct BudgetRegex::Code {
    std::unique_ptr<pcre2_code, FreeCode> compiled;
    bool jit = false;
};

struct BudgetRegex::Scan::State {
    std::unique_ptr<pcre2_match_data, FreeData> data;
    std::unique_ptr<pcre2_match_context, FreeContext> context;
    std::unique_ptr<pcre2_jit_stack, FreeStack> stack;
    std::string_view text;
    std::chrono::steady_clock::time_point deadline;
    unsigned attempts = 0;
};

BudgetRegex::BudgetRegex(std::shared_ptr<const Code> code) : code_(std::move(code)) {}

base::Result<BudgetRegex> BudgetRegex::compile(const std::string& pattern, const std::string& file) {
    const auto refuse = [&](std::string why) {
        return Error{base::Code::UnsupportedTokenizer,
                     file,
                     "pre_tokenizer",
                     {"pattern " + pattern.substr(0, 200), std::move(why)}};
    };
    if (pattern.size() > kPatternBytes) return refuse("it is longer than 64 KiB");
    if (const char* difference = differs(pattern)) return refuse(std::string("it has ") + difference);
    int number = 0;
    PCRE2_SIZE place = 0;
    // As in Oniguruma's Ruby syntax: ^ and $ are of lines, and a dot is anything but a line feed.
    constexpr uint32_t kOptions = PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C;
    std::unique_ptr<pcre2_compile_context, void (*)(pcre2_compile_context*)> context(
        pcre2_compile_context_create(nullptr), pcre2_compile_context_free);
    pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
    pcre2_set_parens_nest_limit(context.get(), 64);
    auto made = std::make_shared<Code>();
    made->compiled.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(), kOptions,
                                       &number, &place, context.get()));
    if (!made->compiled) {
        PCRE2_UCHAR message[200];
        pcre2_get_error_message(number, message, sizeof message);
        return refuse(std::string(reinterpret_cast<const char*>(message)) + " at byte " +
                      std::to_string(place));
    }
    // Where memory may not become executable, the interpreter gives the same matches.
    made->jit = pcre2_jit_compile(made->compiled.get(), PCRE2_JIT_COMPLETE) == 0;
    return BudgetRegex(std::move(made));
}

BudgetRegex::Scan::Scan(const BudgetRegex& regex) : state_(std::make_unique<State>()) {
    state_->data.reset(pcre2_match_data_create_from_pattern(regex.code_->compiled.get(), nullptr));
    state_->context.reset(pcre2_match_context_create(nullptr));
    CONCLAVE_CHECK(state_->data && state_->context);
    pcre2_set_match_limit(state_->context.get(), kMatchLimit);
    pcre2_set_depth_limit(state_->context.get(), kDepthLimit);
    pcre2_set_heap_limit(state_->context.get(), kHeapKiB);
    if (regex.code_->jit) {
        state_->stack.reset(pcre2_jit_stack_create(kJitStackStart, kJitStackMost, nullptr));
        pcre2_jit_stack_assign(state_->context.get(), nullptr, state_->stack.get());
    }
}
BudgetRegex::Scan::Scan(Scan&&) noexcept = default;
BudgetRegex::Scan& BudgetRegex::Scan::operator=(Scan&&) noexcept = default;
BudgetRegex::Scan::~Scan() = default;

void BudgetRegex::Scan::begin(std::string_view text) {
    state_->text = text;
    state_->attempts = 0;
    state_->deadline = std::chrono::steady_clock::now() + kTimeAlways +
                       kTimePerMiB * static_cast<int64_t>(text.size() >> 20);
}

Search BudgetRegex::find(Scan& scan, size_t from, Match& match) const {
    Scan::State& state = *scan.state_;
    const auto* subject = reinterpret_cast<PCRE2_SPTR>(state.text.data());
    // One attempt at a place at a time: PCRE2's own limits begin again at each place, so that they would not
    // bound a search that fails everywhere.
    for (size_t at = from; at < state.text.size();) {
        if (++state.attempts % kAttemptsBetweenClocks == 0 &&
            std::chrono::steady_clock::now() > state.deadline)
            return Search::TooLong;
        const int found =
            pcre2_match(code_->compiled.get(), subject, state.text.size(), at,
                        PCRE2_ANCHORED | PCRE2_NO_UTF_CHECK, state.data.get(), state.context.get());
        if (found > 0) {
            const PCRE2_SIZE* bounds = pcre2_get_ovector_pointer(state.data.get());
            match = {bounds[0], bounds[1]};
            return Search::Found;
        }
        if (found != PCRE2_ERROR_NOMATCH) return Search::TooLong;
        do
            ++at;
        while (at < state.text.size() && (static_cast<unsigned char>(state.text[at]) & 0xC0) == 0x80);
    }
    return Search::None;
}

}  // namespace conclave::engine::text
