#pragma once

#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "engine/base/result.h"
#include "engine/base/utf8.h"
#include "engine/library/library.h"
#include "engine/model/model.h"
#include "engine/text/chat_template.h"
#include "engine/text/tokenizer.h"

/// A model without weights for tests of scheduler and server. It stores the tokens it is given in its pages
/// and answers from what it reads there, so that a wrong, stale or foreign page shows in the text.
///
/// One token is one byte (id = byte value); the control tokens follow: <s> </s> <|system|> <|user|>
/// <|assistant|>. The last "[...]" of the prompt says what is answered:
///   [s7]      "s7:0 s7:1 s7:2 ..." without end (up to max_tokens or the context); no brackets = the name
///   "stream" [s7*3]    "s7:0 s7:1 s7:2", then the end token [s7!3]    NaN logits once three marks are
///   written [s7~]     letters whose odds depend on every token before: shows any difference in history, seed
///   or position
/// A page whose stored tokens are not those of this sequence's history answers "#" for ever.
namespace conclave::engine::testing {

constexpr int32_t kMarkerBos = 256, kMarkerEnd = 257, kMarkerTokens = 261;
constexpr int kMarkerLayers = 8;
constexpr uint32_t kMarkerVocabulary = 264;  ///< three embedding rows more than tokens, as padded models have

struct MarkerOptions {
    uint32_t context = 4096;
    uint32_t maxRows = 512;
    std::chrono::microseconds stepDelay{
        0};  ///< spent in eight "layers", between which the stop token is looked at
    std::chrono::microseconds rowDelay{0};  ///< the same, more for every row of the step
    bool chatTemplate = true;
    std::function<void(const model::Step&)> onStep;  ///< called on the scheduler's thread before each step
};

struct MarkerCell {
    int32_t token;
    uint32_t position;
    uint64_t chain;  ///< of all tokens up to here
};
constexpr size_t kMarkerPageBytes = 64 * sizeof(MarkerCell);

inline uint64_t markerMix(uint64_t a, uint64_t b) {
    uint64_t x = (a ^ (b + 0x9E3779B97F4A7C15u)) * 0xBF58476D1CE4E5B9u;
    x = (x ^ (x >> 29)) * 0x94D049BB133111EBu;
    return x ^ (x >> 32);
}

inline MarkerCell* markerCell(const model::Slice& slice, size_t position) {
    return reinterpret_cast<MarkerCell*>(slice.pages[position / 64]) + position % 64;
}

struct MarkerCommand {
    std::string name = "stream";
    int64_t count = -1, nanAfter = -1;
    bool wander = false;
};

inline MarkerCommand readMarkerCommand(const std::string& text) {
    MarkerCommand command;
    const size_t close = text.rfind(']');
    const size_t open = close == std::string::npos ? close : text.rfind('[', close);
    if (open == std::string::npos) return command;
    const std::string inside = text.substr(open + 1, close - open - 1);
    const size_t end = inside.find_first_of("*!~");
    command.name = inside.substr(0, end);
    if (end == std::string::npos) return command;
    command.wander = inside[end] == '~';
    if (!command.wander)
        (inside[end] == '*' ? command.count : command.nanAfter) = std::stoll(inside.substr(end + 1));
    return command;
}

/// The marks "name:0 name:1 ... name:count-1".
inline std::string markerText(const std::string& name, int64_t count) {
    std::string out;
    for (int64_t n = 0; n < count; ++n)
        out += (n > 0 ? " " : "") + name + ":" + std::to_string(n);
    return out;
}

/// Logits of the row at `position`, from what the pages hold.
inline void markerLogits(const model::Slice& slice, size_t position, float* logits) {
    std::fill(logits, logits + kMarkerVocabulary, 0.0f);
    std::string text;
    size_t boundary = 0;
    uint64_t chain = 0;
    for (size_t i = 0; i <= position; ++i) {
        const MarkerCell& cell = *markerCell(slice, i);
        chain = markerMix(chain, static_cast<uint64_t>(cell.token));
        if (cell.position != i || cell.chain != chain) {
            logits[size_t{'#'}] = 40;
            return;
        }
        text += cell.token < 256 ? static_cast<char>(cell.token) : '\x01';
        if (cell.token >= 256 || cell.token == ']') boundary = i + 1;
    }
    const MarkerCommand command = readMarkerCommand(text);
    if (command.wander) {
        for (size_t c = 'a'; c <= 'z'; ++c)
            logits[c] = 10 + static_cast<float>(markerMix(chain, c) % 1000) * 0.003f;
        return;
    }
    const std::string marks = markerText(command.name, static_cast<int64_t>(text.size() / 3 + 2)) + " ";
    size_t said = std::min(text.size() - boundary, marks.size() - 1);
    while (text.compare(text.size() - said, said, marks, 0, said) != 0)
        --said;
    if (command.nanAfter >= 0 && said >= markerText(command.name, command.nanAfter).size())
        logits[0] = std::numeric_limits<float>::quiet_NaN();
    else if (command.count >= 0 && said >= markerText(command.name, command.count).size())
        logits[kMarkerEnd] = 40;
    else
        logits[static_cast<uint8_t>(marks[said])] = 40;
}

inline model::StepOutcome markerForward(const MarkerOptions& options, model::Step& step,
                                        platform::Team& team) {
    if (options.onStep) options.onStep(step);
    size_t rows = 0;
    for (const model::Slice& slice : step.slices)
        rows += slice.tokens.size();
    const auto layerTime = (options.stepDelay + options.rowDelay * rows) / kMarkerLayers;
    for (int layer = 0; layer < kMarkerLayers; ++layer) {
        if (step.stop != nullptr && step.stop->load()) return model::StepOutcome::Stopped;
        if (layerTime.count() > 0) std::this_thread::sleep_for(layerTime);
    }
    std::vector<size_t> firstLogits;
    size_t asked = 0;
    for (const model::Slice& slice : step.slices) {
        CONCLAVE_CHECK(!slice.tokens.empty());
        CONCLAVE_CHECK(slice.start + slice.tokens.size() <= slice.pages.size() * 64);
        firstLogits.push_back(asked);
        asked += slice.logits == model::Slice::Logits::None  ? 0
                 : slice.logits == model::Slice::Logits::All ? slice.tokens.size()
                                                             : 1;
    }
    CONCLAVE_CHECK(rows > 0 && rows <= options.maxRows);
    step.logits.assign(asked * kMarkerVocabulary, 0.0f);
    team.run([&](size_t worker, size_t workers) {
        const platform::Range mine = platform::share(step.slices.size(), worker, workers);
        for (size_t s = mine.begin; s < mine.end; ++s) {
            const model::Slice& slice = step.slices[s];
            uint64_t chain = slice.start == 0 ? 0 : markerCell(slice, slice.start - 1)->chain;
            for (size_t i = 0; i < slice.tokens.size(); ++i) {
                const int32_t token = base::toInt(slice.tokens[i]);
                chain = markerMix(chain, static_cast<uint64_t>(token));
                const auto position = static_cast<uint32_t>(slice.start + i);
                *markerCell(slice, position) = {token, position, chain};
            }
            const size_t count = slice.logits == model::Slice::Logits::None  ? 0
                                 : slice.logits == model::Slice::Logits::All ? slice.tokens.size()
                                                                             : 1;
            for (size_t i = 0; i < count; ++i)
                markerLogits(slice, slice.start + slice.tokens.size() - count + i,
                             step.logits.data() + (firstLogits[s] + i) * kMarkerVocabulary);
        }
    });
    return model::StepOutcome::Done;
}

/// The byte-level vocabulary described above.
inline formats::TokenizerSpec markerVocabulary() {
    formats::TokenizerSpec spec;
    spec.file = "marker";
    char32_t spare =
        256;  // GPT-2's byte alphabet: printable bytes stand for themselves, the others for U+0100 and up
    for (char32_t byte = 0; byte < 256; ++byte) {
        const bool printable = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
        std::string token;
        base::appendUtf8(token, printable ? byte : spare++);
        spec.tokens.push_back(token);
        spec.kinds.push_back(formats::TokenKind::Normal);
    }
    for (const char* name : {"<s>", "</s>", "<|system|>", "<|user|>", "<|assistant|>"}) {
        spec.added.push_back({.id = base::TokenId{static_cast<int32_t>(spec.tokens.size())},
                              .content = name,
                              .special = true});
        spec.tokens.push_back(name);
        spec.kinds.push_back(formats::TokenKind::Control);
    }
    spec.preTokenizers.emplace_back(formats::ByteLevelStep{.addPrefixSpace = false, .useRegex = false});
    spec.bos = base::TokenId{kMarkerBos};
    spec.eos = base::TokenId{kMarkerEnd};
    spec.endTokens = {base::TokenId{kMarkerEnd}};
    spec.addBos = true;
    return spec;
}

inline std::shared_ptr<const library::LoadedModel> makeMarkerModel(const std::string& name,
                                                                   MarkerOptions options = {}) {
    auto tokenizer = text::Tokenizer::make(markerVocabulary());
    CONCLAVE_CHECK(tokenizer.ok());
    model::Model made;
    made.config.architecture = "marker";
    made.config.sourceArchitecture = "marker";
    made.config.layers = kMarkerLayers;
    made.config.hidden = 1;
    made.config.vocabulary = kMarkerVocabulary;
    made.config.context = options.context;
    made.kv.pageBytes = kMarkerPageBytes;
    made.numericsId = "marker-1";
    made.maxRows = options.maxRows;
    made.forward = [options](model::Step& step, platform::Team& team) {
        return markerForward(options, step, team);
    };
    library::LoadedModel loaded;
    loaded.name = name;
    loaded.path = "/nowhere/" + name;
    loaded.contentId = name + "@marker";
    loaded.model = std::make_shared<const model::Model>(std::move(made));
    loaded.tokenizer = std::make_shared<const text::Tokenizer>(std::move(tokenizer).value());
    loaded.bosText = "<s>";
    loaded.eosText = "</s>";
    loaded.endTokens = {base::TokenId{kMarkerEnd}};
    if (options.chatTemplate) {
        auto parsed = text::ChatTemplate::parse(
            "{{ bos_token }}{% for message in messages %}"
            "{% if message['role'] == 'system' %}{{ '<|system|>' }}"
            "{% elif message['role'] == 'user' %}{{ '<|user|>' }}{% else %}{{ '<|assistant|>' }}{% endif %}"
            "{{ message['content'] }}{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif "
            "%}");
        CONCLAVE_CHECK(parsed.ok());
        loaded.chatTemplate = std::make_shared<const text::ChatTemplate>(std::move(parsed).value());
    }
    return std::make_shared<const library::LoadedModel>(std::move(loaded));
}

}  // namespace conclave::engine::testing
