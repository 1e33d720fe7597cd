#include "engine/text/pre_tokenizer.h"

#include <optional>

#include "engine/base/utf8.h"
#include "engine/text/text_search.h"

namespace conclave::engine::text {
namespace {

using base::Code;
using base::Error;
using base::Result;
using formats::SplitBehavior;

constexpr size_t kSteps = 32;

/// The words of GPT-2, which ByteLevel splits by unless told otherwise.
constexpr const char* kByteLevelWords =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

/// One step made ready: an optional change of the text, then an optional split.
struct Step {
    std::string spacesBecome;  ///< Metaspace: what each space turns into; empty for no change
    std::string prefix;        ///< put before the text unless it begins with it already
    bool prefixAtStartOnly = false;
    std::optional<TextSearch> search;
    SplitBehavior behavior = SplitBehavior::Isolated;
    bool invert = false;
    bool toAlphabet = false;  ///< pieces go on in the byte alphabet (ByteLevel before other steps)
};

Result<Step> splitStep(const std::string& pattern, bool isRegex, SplitBehavior behavior, bool invert,
                       const std::string& file) {
    Step step;
    CONCLAVE_TRY(step.search, TextSearch::compile(pattern, isRegex, file));
    step.behavior = behavior;
    step.invert = invert;
    return step;
}

struct MakeStep {
    const std::string& file;

    Result<Step> operator()(const formats::SplitStep& s) const {
        return splitStep(s.pattern, s.isRegex, s.behavior, s.invert, file);
    }
    Result<Step> operator()(const formats::DigitsStep& s) const {
        return splitStep(s.individual ? R"(\p{N})" : R"(\p{N}+)", true, SplitBehavior::Isolated, false, file);
    }
    Result<Step> operator()(const formats::PunctuationStep& s) const {
        return splitStep(R"([!-/:-@\[-`{-~\p{P}])", true, s.behavior, false, file);
    }
    Result<Step> operator()(const formats::WhitespaceStep& s) const {
        return s.keepWords ? splitStep(R"(\w+|[^\w\s]+)", true, SplitBehavior::Removed, true, file)
                           : splitStep(R"(\s)", true, SplitBehavior::Removed, false, file);
    }
    Result<Step> operator()(const formats::ByteLevelStep& s) const {
        Step step;
        if (s.useRegex) {
            CONCLAVE_TRY(step, splitStep(kByteLevelWords, true, SplitBehavior::Isolated, false, file));
        }
        if (s.addPrefixSpace) step.prefix = " ";
        return step;
    }
    Result<Step> operator()(const formats::MetaspaceStep& s) const {
        Step step;
        if (s.split) {
            CONCLAVE_TRY(step, splitStep(s.replacement, false, SplitBehavior::MergedWithNext, false, file));
        }
        step.spacesBecome = s.replacement;
        if (s.prepend != formats::MetaspaceStep::Prepend::Never) step.prefix = s.replacement;
        step.prefixAtStartOnly = s.prepend == formats::MetaspaceStep::Prepend::First;
        return step;
    }
};

bool isOneCharacter(std::string_view text) {
    size_t at = 0;
    base::nextCodePoint(text, at);
    return at == text.size();
}

std::string replaceSpaces(std::string_view text, const std::string& with) {
    std::string out;
    out.reserve(text.size());
    for (const char c : text)
        if (c == ' ')
            out += with;
        else
            out += c;
    return out;
}

std::string toAlphabet(std::string_view bytes) {
    std::string out;
    out.reserve(bytes.size() * 2);
    for (const char c : bytes)
        base::appendUtf8(out, formats::byteToAlphabet(static_cast<unsigned char>(c)));
    return out;
}

std::string fromAlphabet(std::string_view text) {
    std::string out;
    for (size_t at = 0; at < text.size();) {
        const auto byte = formats::alphabetToByte(base::nextCodePoint(text, at));
        CONCLAVE_CHECK(byte.has_value());
        out += static_cast<char>(*byte);
    }
    return out;
}

}  // namespace

struct PreTokenizer::State {
    std::string file;
    std::vector<Step> steps;
    /// By step, and one for the end: whether neither it nor a later one does anything to a single character.
    std::vector<char> keepsSingles;
};

/// One call of split(): the scratch of each step, and where pieces go. The steps call each other, one level
/// deep for each step, so that no list of pieces is ever built.
struct PreTokenizer::Run {
    const State& state;
    const Sink& sink;
    std::vector<TextSearch::Scan> scans;

    /// A piece that a step has finished.
    Result<void> pass(size_t index, std::string_view piece, bool alphabet, bool atStart) {
        if (!alphabet && state.steps[index].toAlphabet)
            return step(index + 1, toAlphabet(piece), true, atStart);
        // Ten megabytes of newlines are ten million pieces, and each would walk through every step for
        // nothing.
        if (!alphabet && state.keepsSingles[index + 1] && isOneCharacter(piece)) {
            sink(piece);
            return {};
        }
        return step(index + 1, piece, alphabet, atStart);
    }

    Result<void> step(size_t index, std::string_view text, bool alphabet, bool atStart) {
        if (text.empty()) return {};
        if (index == state.steps.size()) {
            if (alphabet)
                sink(fromAlphabet(text));
            else
                sink(text);
            return {};
        }
        const Step& step = state.steps[index];
        std::string changed;
        if (!step.spacesBecome.empty()) {
            changed = replaceSpaces(text, step.spacesBecome);
            text = changed;
        }
        const bool prefixHere = !step.prefix.empty() && (atStart || !step.prefixAtStartOnly);
        if (prefixHere && text.substr(0, step.prefix.size()) != step.prefix) {
            changed = step.prefix + std::string(text);
            text = changed;
        }
        if (!step.search) return pass(index, text, alphabet, atStart);
        return cut(index, text, alphabet, atStart);
    }

    Result<void> cut(size_t index, std::string_view text, bool alphabet, bool atStart) {
        const Step& step = state.steps[index];
        if (step.behavior != SplitBehavior::Removed && (isOneCharacter(text) || !step.search->mayMatch(text)))
            return pass(index, text, alphabet, atStart);
        TextSearch::Scan& scan = scans[index];
        scan.begin(text);
        Joiner joiner{.behavior = step.behavior};
        const auto emit = [&](Match piece) {
            return pass(index, text.substr(piece.begin, piece.end - piece.begin), alphabet,
                        atStart && piece.begin == 0);
        };
        size_t done = 0;
        while (done < text.size()) {
            Match match;
            const Search found = nextMatch(*step.search, scan, text, done, match);
            if (found == Search::TooLong) return step.search->tooLong(state.file);
            if (found == Search::None) match = {text.size(), text.size()};
            if (match.begin > done) CONCLAVE_TRY_VOID(joiner.add({done, match.begin}, step.invert, emit));
            if (match.end > match.begin) CONCLAVE_TRY_VOID(joiner.add(match, !step.invert, emit));
            done = match.end;
        }
        return joiner.finish(emit);
    }

    /// The next match that is not empty: an empty one has no piece of its own.
    static Search nextMatch(const TextSearch& search, TextSearch::Scan& scan, std::string_view text,
                            size_t from, Match& match) {
        for (;;) {
            const Search found = search.find(scan, from, match);
            if (found != Search::Found || match.end > match.begin) return found;
            from = match.begin + 1;
            while (from < text.size() && (static_cast<unsigned char>(text[from]) & 0xC0) == 0x80)
                ++from;
        }
    }

    /// Puts stretches (a match or what lies between two) together as the behaviour asks.
    struct Joiner {
        SplitBehavior behavior;
        std::optional<Match> held = {};
        bool heldIsMatch = false;

        template <class Emit> Result<void> add(Match stretch, bool isMatch, const Emit& emit) {
            if (behavior == SplitBehavior::Isolated) return emit(stretch);
            if (behavior == SplitBehavior::Removed) return isMatch ? Result<void>() : emit(stretch);
            const bool joins =
                held && (behavior == SplitBehavior::Contiguous           ? isMatch == heldIsMatch
                         : behavior == SplitBehavior::MergedWithPrevious ? isMatch && !heldIsMatch
                                                                         : !isMatch && heldIsMatch);
            if (joins) {
                held->end = stretch.end;
            } else {
                CONCLAVE_TRY_VOID(finish(emit));
                held = stretch;
            }
            heldIsMatch = isMatch;
            return {};
        }
        template <class Emit> Result<void> finish(const Emit& emit) {
            if (!held) return {};
            const Match piece = *held;
            held.reset();
            return emit(piece);
        }
    };
};

PreTokenizer::PreTokenizer(std::unique_ptr<const State> state) : state_(std::move(state)) {}
PreTokenizer::PreTokenizer(PreTokenizer&&) noexcept = default;
PreTokenizer& PreTokenizer::operator=(PreTokenizer&&) noexcept = default;
PreTokenizer::~PreTokenizer() = default;

base::Result<PreTokenizer> PreTokenizer::make(const std::vector<formats::PreTokenizerStep>& steps,
                                              std::string file) {
    auto state = std::make_unique<State>();
    state->file = std::move(file);
    if (steps.size() > kSteps)
        return Error{Code::LimitExceeded,
                     state->file,
                     "pre_tokenizer",
                     {std::to_string(steps.size()) + " steps", std::to_string(kSteps)}};
    bool alphabet = false;
    for (size_t i = 0; i < steps.size(); ++i) {
        // What these put into the text would not be part of the byte alphabet.
        const bool changes = std::holds_alternative<formats::MetaspaceStep>(steps[i]) ||
                             std::holds_alternative<formats::ByteLevelStep>(steps[i]);
        if (alphabet && changes)
            return Error{Code::UnsupportedTokenizer,
                         state->file,
                         "pre_tokenizer",
                         {"Metaspace or ByteLevel after ByteLevel", "before it, or without it, they are"}};
        alphabet = alphabet || std::holds_alternative<formats::ByteLevelStep>(steps[i]);
        CONCLAVE_TRY(Step step, std::visit(MakeStep{state->file}, steps[i]));
        step.toAlphabet = std::holds_alternative<formats::ByteLevelStep>(steps[i]) && i + 1 < steps.size();
        state->steps.push_back(std::move(step));
    }
    state->keepsSingles.assign(steps.size() + 1, true);
    for (size_t i = steps.size(); i-- > 0;) {
        const Step& step = state->steps[i];
        const bool keeps = step.spacesBecome.empty() && step.prefix.empty() && !step.toAlphabet &&
                           step.behavior != SplitBehavior::Removed;
        state->keepsSingles[i] = keeps && state->keepsSingles[i + 1];
    }
    return PreTokenizer(std::move(state));
}

base::Result<void> PreTokenizer::split(std::string_view text, bool atStart, const Sink& sink) const {
    Run run{*state_, sink, {}};
    for (const Step& step : state_->steps)
        run.scans.push_back(step.search ? step.search->scratch() : TextSearch::Scan());
    return run.step(0, text, false, atStart);
}

}  // namespace conclave::engine::text
