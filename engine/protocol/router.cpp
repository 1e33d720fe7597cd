#include "engine/protocol/router.h"

#include <array>
#include <limits>
#include <string>

namespace conclave::engine::protocol {
namespace {

constexpr size_t kMostBiases = 1024;
constexpr int64_t kMostIndex = std::numeric_limits<int32_t>::max();
constexpr std::array<std::string_view, 4> kNames = {"temperature", "active", "floor", "bias"};
constexpr std::array<std::string_view, 4> kBiasNames = {"layer", "expert", "value", "forbid"};

RouterBias readBias(Fields& fields) {
    RouterBias out;
    if (const auto layer = fields.integer("layer", 0, kMostIndex)) out.layer = static_cast<uint32_t>(*layer);
    const auto expert = fields.integer("expert", 0, kMostIndex);
    if (!fields.has("expert")) fields.require("expert", "the number of an expert");
    out.expert = static_cast<uint32_t>(expert.value_or(0));
    out.value = fields.number("value", -1000, 1000);
    const bool forbid = fields.boolean("forbid").value_or(false);
    if (forbid && fields.has("value")) fields.refuse("forbid", "without a value beside it");
    if (!forbid && !fields.has("value"))
        fields.require("value", "what is added to the expert's logit, or send \"forbid\": true");
    return out;
}

void readBiases(const Json& list, Fields& fields, std::vector<RouterBias>& out) {
    if (list.size() > kMostBiases)
        return fields.refuse("bias", "a list of at most " + std::to_string(kMostBiases) + " biases");
    for (size_t i = 0; i < list.size(); ++i) {
        const std::string path = fields.pathOf("bias") + "[" + std::to_string(i) + "]";
        if (!list[i].is_object())
            return fields.refuseAt(path, list[i], R"(an object {"layer", "expert", "value" or "forbid"})");
        Fields inner(list[i], path + ".");
        inner.refuseOthers(kBiasNames);
        out.push_back(readBias(inner));
        if (inner.error()) return fields.fail(*inner.error());
    }
}

}  // namespace

std::optional<RouterWish> readRouter(Fields& fields) {
    const Json* value = fields.object("router");
    if (value == nullptr) return std::nullopt;
    Fields inner(*value, fields.pathOf("router") + ".");
    RouterWish out;
    inner.refuseOthers(kNames);  // a misspelt option would answer as trained, and nobody would know
    out.temperature = inner.number("temperature", 0.05, 20);
    if (const auto active = inner.integer("active", 1, kMostIndex))
        out.active = static_cast<uint32_t>(*active);
    out.floor = inner.number("floor", 0, 1);
    if (out.floor == 1) inner.refuse("floor", "less than 1");
    if (const Json* biases = inner.array("bias")) readBiases(*biases, inner, out.bias);
    if (inner.error()) fields.fail(*inner.error());
    return out;
}

Json routerJson(const RouterWish& wish) {
    Json out = Json::object();
    if (wish.temperature) out["temperature"] = *wish.temperature;
    if (wish.active) out["active"] = *wish.active;
    if (wish.floor) out["floor"] = *wish.floor;
    for (const RouterBias& bias : wish.bias) {
        Json item = {{"expert", bias.expert}};
        if (bias.layer) item["layer"] = *bias.layer;
        if (bias.value)
            item["value"] = *bias.value;
        else
            item["forbid"] = true;
        out["bias"].push_back(std::move(item));
    }
    return out;
}

}  // namespace conclave::engine::protocol
