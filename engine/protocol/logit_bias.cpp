#include "engine/protocol/logit_bias.h"

#include <charconv>
#include <limits>

namespace conclave::engine::protocol {
namespace {

constexpr int32_t kMostId = std::numeric_limits<int32_t>::max();
constexpr size_t kMostEntries = 10'000;
constexpr std::string_view kMust = "an object of token ids and biases, or an array of [id, bias]";

std::string idMust() {
    return "a token id, a whole number from 0 to " + std::to_string(kMostId);
}

void add(const std::string& path, base::TokenId token, const Json& value, Fields& fields,
         std::vector<TokenBias>& out) {
    const bool never = value.is_boolean() && !value.get<bool>();
    const double bias = value.is_number() ? value.get<double>() : 1000;
    if (never)
        out.push_back({token, std::nullopt});
    else if (bias >= -100 && bias <= 100)
        out.push_back({token, bias});
    else
        fields.refuseAt(path, value, "a number from -100 to 100, or false");
}

void readObject(const Json& object, Fields& fields, std::vector<TokenBias>& out) {
    for (const auto& [key, value] : object.items()) {
        int32_t id = -1;
        const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), id);
        if (error != std::errc() || end != key.data() + key.size() || id < 0)
            return fields.refuseAt(fields.pathOf("logit_bias"), Json(key), idMust());
        add(fields.pathOf("logit_bias") + "." + key, base::TokenId{id}, value, fields, out);
    }
}

void readArray(const Json& array, Fields& fields, std::vector<TokenBias>& out) {
    for (size_t i = 0; i < array.size(); ++i) {
        const std::string path = fields.pathOf("logit_bias") + "[" + std::to_string(i) + "]";
        const Json& pair = array[i];
        if (!pair.is_array() || pair.size() != 2) return fields.refuseAt(path, pair, "a pair [id, bias]");
        if (!pair[0].is_number_unsigned() || pair[0].get<uint64_t>() > uint64_t{kMostId})
            return fields.refuseAt(path + "[0]", pair[0], idMust());
        add(path + "[1]", base::TokenId{pair[0].get<int32_t>()}, pair[1], fields, out);
    }
}

}  // namespace

std::vector<TokenBias> readLogitBias(Fields& fields) {
    std::vector<TokenBias> out;
    const Json* value = fields.find("logit_bias");
    if (value == nullptr) return out;
    if (!value->is_structured())
        fields.refuse("logit_bias", std::string(kMust));
    else if (value->size() > kMostEntries)
        fields.refuse("logit_bias", "of at most " + std::to_string(kMostEntries) + " tokens");
    else if (value->is_object())
        readObject(*value, fields, out);
    else
        readArray(*value, fields, out);
    return out;
}

Json logitBiasJson(const std::vector<TokenBias>& biases) {
    Json out = Json::array();
    for (const TokenBias& entry : biases)
        out.push_back({base::toInt(entry.token), entry.bias ? Json(*entry.bias) : Json(false)});
    return out;
}

}  // namespace conclave::engine::protocol
