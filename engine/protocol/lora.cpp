#include "engine/protocol/lora.h"

#include <array>
#include <limits>

#include "engine/protocol/counts.h"

namespace conclave::engine::protocol {
namespace {

using base::Code;
using base::Error;

constexpr size_t kMostAdapters = 16;
constexpr double kMostScale = 100;
/// What an adapter is asked for with, and what else stands in the list that clients of llama.cpp send back.
constexpr std::array<std::string_view, 7> kNames = {"id",    "name",      "scale",        "path",
                                                    "model", "task_name", "prompt_prefix"};
constexpr std::string_view kMust = R"(a list of at most 16 {"id" or "name", "scale"})";

std::optional<LoraUse> readUse(const Json& item, const std::string& path, Fields& fields) {
    if (!item.is_object()) {
        fields.refuseAt(path, item, R"(an object {"id" or "name", "scale"})");
        return std::nullopt;
    }
    Fields inner(item, path + ".");
    inner.refuseOthers(kNames);  // a misspelt scale would be 1
    LoraUse use;
    if (const auto id = inner.integer("id", 0, std::numeric_limits<int32_t>::max()))
        use.id = static_cast<uint32_t>(*id);
    use.name = inner.text("name", Fields::Empty::Refused).value_or("");
    use.scale = inner.number("scale", -kMostScale, kMostScale).value_or(1);
    if (!use.id && use.name.empty()) inner.require("id", "the adapter's number, or give its name");
    if (!inner.error()) return use;
    fields.fail(*inner.error());
    return std::nullopt;
}

void readUses(const Json& list, const std::string& path, Fields& fields, std::vector<LoraUse>& out) {
    for (size_t i = 0; i < list.size(); ++i)
        if (auto use = readUse(list[i], path + "[" + std::to_string(i) + "]", fields))
            out.push_back(*std::move(use));
}

}  // namespace

std::optional<std::vector<LoraUse>> readLora(Fields& fields) {
    const Json* value = fields.find("lora");
    if (value == nullptr) return std::nullopt;
    std::vector<LoraUse> out;
    if (!value->is_array() || value->size() > kMostAdapters)
        fields.refuse("lora", std::string(kMust));
    else
        readUses(*value, fields.pathOf("lora"), fields, out);
    return out;
}

Json loraJson(const std::vector<LoraUse>& uses) {
    Json out = Json::array();
    for (const LoraUse& use : uses) {
        Json item = use.id ? Json{{"id", *use.id}} : Json{{"name", use.name}};
        item["scale"] = use.scale;
        out.push_back(std::move(item));
    }
    return out;
}

base::Result<std::vector<LoraUse>> readLoraDefaults(std::string_view body) {
    CONCLAVE_TRY(const Json wrapped, parseBody(R"({"lora":)" + std::string(body) + "}"));
    Fields fields(wrapped);
    auto out = readLora(fields);
    if (fields.error()) return *fields.error();
    if (!out) return Error{Code::BadArgument, {}, "lora", {"must be " + std::string(kMust)}};
    return *std::move(out);
}

std::string loraList(const std::vector<AdapterRow>& rows) {
    Json out = Json::array();
    for (const AdapterRow& row : rows)
        out.push_back({{"id", row.id ? Json(*row.id) : Json(nullptr)},
                       {"path", row.path},
                       {"scale", row.scale},
                       {"name", row.name},
                       {"model", row.model}});
    return dump(out);
}

Json adapterJson(const AdapterRow& row) {
    Json layers = Json::array();
    for (const AdapterRow::Layer& layer : row.layers)
        layers.push_back({{"layer", layer.layer}, {"matrices", layer.matrices}, {"experts", layer.experts}});
    return {{"id", row.id ? Json(*row.id) : Json(nullptr)},
            {"name", row.name},
            {"model", row.model.empty() ? Json(nullptr) : Json(row.model)},
            {"path", row.path},
            {"content_id", row.contentId},
            {"scale", row.scale},
            {"pairs", row.pairs},
            {"matrices", row.matrices},
            {"rank", row.rank},
            {"bytes", row.bytes},
            {"invoked", row.invoked},
            {"loaded", row.loaded},
            {"users", row.users},
            {"loaded_at", row.loadedAtUnix},
            {"last_used", row.lastUsedUnix},
            {"layers", std::move(layers)}};
}

std::string adapterList(const AdapterListing& listing) {
    Json data = Json::array();
    for (const AdapterRow& row : listing.rows)
        data.push_back(adapterJson(row));
    Json installed = Json::array();
    for (const AdapterListing::Installed& row : listing.installed)
        installed.push_back({{"name", row.name},
                             {"model", row.model.empty() ? Json(nullptr) : Json(row.model)},
                             {"path", row.path}});
    return dump(Json{{"object", "list"},
                     {"data", std::move(data)},
                     {"installed", std::move(installed)},
                     {"memory", {{"used", listing.bytes}, {"budget", listing.budget}}}});
}

std::string adapterDetails(const AdapterDetails& details) {
    Json out = adapterJson(details.row);
    out["object"] = "adapter";
    out["format"] = details.format;
    out["trained_on"] = details.trainedOn.empty() ? Json(nullptr) : Json(details.trainedOn);
    out["alpha"] = details.alpha == 0 ? Json(nullptr) : Json(details.alpha);
    out["rslora"] = details.rankStabilised;
    out["ranks"] = details.ranks;
    out["targets"] = details.targets;
    out["invocation_tokens"] = Json::array();
    for (const base::TokenId token : details.invocation)
        out["invocation_tokens"].push_back(base::toInt(token));
    return dump(out);
}

base::Result<AdapterListing> readAdapterList(std::string_view body) {
    CONCLAVE_TRY(const Json json, parseBody(body));
    Fields fields(json);
    AdapterListing out;
    const Json* data = fields.array("data");
    if (data == nullptr) return Error{Code::EngineProtocol, {}, {}, {"a list of adapters without data"}};
    constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
    for (const Json& item : *data) {
        if (!item.is_object()) return Error{Code::EngineProtocol, {}, {}, {"an adapter that is no object"}};
        Fields inner(item);
        AdapterRow row;
        if (inner.has("id")) row.id = count32(inner, "id");
        row.name = inner.text("name").value_or("");
        row.model = inner.text("model").value_or("");
        row.path = inner.text("path").value_or("");
        row.contentId = inner.text("content_id").value_or("");
        row.pairs = count32(inner, "pairs");
        row.matrices = count32(inner, "matrices");
        row.rank = count32(inner, "rank");
        row.bytes = count(inner, "bytes");
        row.invoked = inner.boolean("invoked").value_or(false);
        row.loaded = inner.boolean("loaded").value_or(true);
        row.users = count32(inner, "users");
        row.loadedAtUnix = inner.integer("loaded_at", 0, kMost).value_or(0);
        row.lastUsedUnix = inner.integer("last_used", 0, kMost).value_or(0);
        row.scale = inner.number("scale", -kMostScale, kMostScale).value_or(0);
        if (const Json* layers = inner.array("layers"))
            for (const Json& layer : *layers) {
                if (!layer.is_object())
                    return Error{Code::EngineProtocol, {}, {}, {"a layer that is no object"}};
                Fields deep(layer);
                row.layers.push_back(
                    {count32(deep, "layer"), count32(deep, "matrices"), count32(deep, "experts")});
            }
        out.rows.push_back(std::move(row));
    }
    if (const Json* installed = fields.array("installed"))
        for (const Json& item : *installed) {
            if (!item.is_object())
                return Error{Code::EngineProtocol, {}, {}, {"an adapter that is no object"}};
            Fields inner(item);
            out.installed.push_back({inner.text("name").value_or(""), inner.text("model").value_or(""),
                                     inner.text("path").value_or("")});
        }
    if (const Json* memory = fields.object("memory")) {
        Fields inner(*memory);
        out.bytes = count(inner, "used");
        out.budget = count(inner, "budget");
    }
    return out;
}

base::Result<AdapterLoad> readAdapterLoad(std::string_view body) {
    CONCLAVE_TRY(const Json json, parseBody(body));
    Fields fields(json);
    AdapterLoad out{fields.text("path", Fields::Empty::Refused).value_or(""),
                    fields.text("name", Fields::Empty::Refused).value_or(""),
                    fields.text("model").value_or("")};
    if (fields.error()) return *fields.error();
    if (out.path.empty() && out.name.empty())
        return Error{Code::BadArgument,
                     {},
                     "path",
                     {"is missing; send the path of an adapter, or the name of an installed one"}};
    if (!out.path.empty() && (out.path.front() != '/' || out.path.find('\0') != std::string::npos))
        return Error{Code::OutOfRange, {}, "path", {shown(Json(out.path)), "an absolute path"}};
    return out;
}

std::string adapterUnloaded(std::string_view name) {
    return dump(Json{{"id", name}, {"object", "adapter"}, {"deleted", true}});
}

std::string loraDefaultsSet() {
    return dump(Json{{"success", true}});
}

Json toJson(const AdapterLoad& request) {
    Json body = Json::object();
    if (!request.path.empty()) body["path"] = request.path;
    if (!request.name.empty()) body["name"] = request.name;
    if (!request.model.empty()) body["model"] = request.model;
    return body;
}

}  // namespace conclave::engine::protocol
