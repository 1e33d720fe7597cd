#include "engine/protocol/generation.h"

#include <limits>

#include "engine/protocol/experts.h"
#include "engine/protocol/logit_bias.h"
#include "engine/protocol/priority.h"

namespace conclave::engine::protocol {
namespace {

constexpr int64_t kInt32Most = std::numeric_limits<int32_t>::max();
constexpr int64_t kMostAnswers = 16;
constexpr size_t kMostStops = 16;
constexpr size_t kMostStopBytes = 4096;

/// A field that would change the answer and is not offered: refused unless it asks for nothing. Passing over
/// it in silence would give another answer than was asked for.
struct NotOffered {
    std::string_view name;
    bool (*neutral)(const Json& value);
    std::string_view must;
};

bool isOne(const Json& value) {
    return value.is_number() && value.get<double>() == 1;
}
bool isPlainText(const Json& value) {
    return value.is_object() && value.size() == 1 && value.begin().key() == "type" &&
           *value.begin() == "text";
}

constexpr NotOffered kNotOffered[] = {
    {"best_of", isOne, "1 (choosing the best of several answers is not offered by this version)"},
    {"response_format", isPlainText,
     "{\"type\":\"text\"} or absent (other formats are not offered by this version)"},
};

void readStop(Fields& fields, std::vector<std::string>& stop) {
    constexpr std::string_view kMust = "a string that is not empty, or an array of at most 16 of them";
    const Json* value = fields.find("stop");
    if (value == nullptr) return;
    const auto isStop = [](const Json& item) {
        return item.is_string() && !item.get_ref<const std::string&>().empty() &&
               item.get_ref<const std::string&>().size() <= kMostStopBytes;
    };
    if (isStop(*value)) {
        stop.push_back(value->get<std::string>());
        return;
    }
    if (!value->is_array() || value->size() > kMostStops) {
        fields.refuse("stop", std::string(kMust));
        return;
    }
    for (size_t i = 0; i < value->size(); ++i) {
        const Json& item = (*value)[i];
        if (!isStop(item)) {
            fields.refuseAt(fields.pathOf("stop") + "[" + std::to_string(i) + "]", item,
                            "a string of 1 to " + std::to_string(kMostStopBytes) + " bytes");
            return;
        }
        stop.push_back(item.get<std::string>());
    }
}

std::optional<uint32_t> readMaxTokens(Fields& fields) {
    constexpr std::string_view kSays = "a whole number from 1 to 2147483647, or -1 for no limit";
    std::optional<uint32_t> most;
    for (const std::string_view name :
         {"max_completion_tokens", "max_tokens"}) {  // the first one given counts
        const std::optional<int64_t> value = fields.integer(name, -1, kInt32Most, kSays);
        if (value == 0) fields.refuse(name, std::string(kSays));
        if (value > 0 && !most) most = static_cast<uint32_t>(*value);
    }
    return most;
}

void readLength(Fields& fields, Generation& out) {
    out.maxTokens = readMaxTokens(fields);
    out.minTokens = static_cast<uint32_t>(fields.integer("min_tokens", 0, kInt32Most).value_or(0));
    if (out.maxTokens && out.minTokens > *out.maxTokens)
        fields.refuse("min_tokens", "at most max_tokens, which is " + std::to_string(*out.maxTokens));
    out.ignoreEos = fields.boolean("ignore_eos").value_or(false);
}

void readPenalties(Fields& fields, Generation& out) {
    out.presencePenalty = fields.number("presence_penalty", -2, 2);
    out.frequencyPenalty = fields.number("frequency_penalty", -2, 2);
    for (const std::string_view name : {"repetition_penalty", "repeat_penalty"}) {  // the first one given
        const std::optional<double> value = fields.number(name, 0.01, 100);
        if (!out.repetitionPenalty) out.repetitionPenalty = value;
    }
    if (const auto last = fields.integer("repeat_last_n", -1, kInt32Most))
        out.repeatLastN = static_cast<int32_t>(*last);
}

}  // namespace

Generation readGeneration(Fields& fields) {
    Generation out;
    out.model = fields.text("model").value_or("");
    out.temperature = fields.number("temperature", 0, 5);
    out.topP = fields.number("top_p", 0, 1);
    out.minP = fields.number("min_p", 0, 1);
    const std::optional<int64_t> topK =
        fields.integer("top_k", std::numeric_limits<int32_t>::min(), kInt32Most);
    if (topK) out.topK = *topK > 0 ? static_cast<uint32_t>(*topK) : 0;
    out.typicalP = fields.number("typical_p", 0, 1);
    readPenalties(fields, out);
    out.logitBias = readLogitBias(fields);
    readLength(fields, out);
    out.n = static_cast<uint32_t>(fields.integer("n", 1, kMostAnswers).value_or(1));
    const std::optional<int64_t> seed =
        fields.integer("seed", std::numeric_limits<int64_t>::min(), std::numeric_limits<int64_t>::max());
    if (seed && *seed != -1) out.seed = static_cast<uint64_t>(*seed);
    readStop(fields, out.stop);
    out.lora = readLora(fields);
    out.router = readRouter(fields);
    if (const auto name = fields.text("priority")) {
        out.priority = priorityOf(*name);
        if (!out.priority) fields.refuse("priority", "one of interactive, chat, background");
    }
    out.conversation = readConversation(fields);
    out.stream = fields.boolean("stream").value_or(false);
    if (const Json* options = fields.object("stream_options")) {
        Fields inner(*options, "stream_options.");
        out.includeUsage = inner.boolean("include_usage").value_or(false);
        if (inner.error()) fields.fail(*inner.error());
    }
    for (const NotOffered& row : kNotOffered) {
        const Json* value = fields.find(row.name);
        if (value != nullptr && !row.neutral(*value)) fields.refuse(row.name, std::string(row.must));
    }
    return out;
}

void writeGeneration(const Generation& generation, Json& body) {
    if (!generation.model.empty()) body["model"] = generation.model;
    if (generation.temperature) body["temperature"] = *generation.temperature;
    if (generation.topP) body["top_p"] = *generation.topP;
    if (generation.minP) body["min_p"] = *generation.minP;
    if (generation.typicalP) body["typical_p"] = *generation.typicalP;
    if (generation.topK) body["top_k"] = *generation.topK;
    if (generation.presencePenalty) body["presence_penalty"] = *generation.presencePenalty;
    if (generation.frequencyPenalty) body["frequency_penalty"] = *generation.frequencyPenalty;
    if (generation.repetitionPenalty) body["repetition_penalty"] = *generation.repetitionPenalty;
    if (generation.repeatLastN) body["repeat_last_n"] = *generation.repeatLastN;
    if (!generation.logitBias.empty()) body["logit_bias"] = logitBiasJson(generation.logitBias);
    if (generation.maxTokens) body["max_tokens"] = *generation.maxTokens;
    if (generation.minTokens > 0) body["min_tokens"] = generation.minTokens;
    if (generation.ignoreEos) body["ignore_eos"] = true;
    if (generation.n != 1) body["n"] = generation.n;
    if (generation.seed) body["seed"] = static_cast<int64_t>(*generation.seed);
    if (!generation.stop.empty()) body["stop"] = generation.stop;
    if (generation.lora) body["lora"] = loraJson(*generation.lora);
    if (generation.router) body["router"] = routerJson(*generation.router);
    if (generation.priority) body["priority"] = nameOf(*generation.priority);
    if (!generation.conversation.empty()) body["conversation"] = generation.conversation;
    if (generation.stream) body["stream"] = true;
    if (generation.includeUsage) body["stream_options"] = {{"include_usage", true}};
}

}  // namespace conclave::engine::protocol
