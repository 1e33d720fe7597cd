#include "engine/cli/router_door.h"

#include <charconv>
#include <cmath>
#include <utility>

namespace conclave::engine::cli {
namespace {

template <class T> std::optional<T> numberIn(std::string_view text) {
    T out{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
    if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return out;
}

/// "3:17:2.5", "all:5:forbid".
std::optional<protocol::RouterBias> biasOf(std::string_view text) {
    const size_t first = text.find(':'), last = text.rfind(':');
    if (first == std::string_view::npos || first == last) return std::nullopt;
    const std::string_view layer = text.substr(0, first), value = text.substr(last + 1);
    const auto expert = numberIn<uint32_t>(text.substr(first + 1, last - first - 1));
    protocol::RouterBias out;
    if (!expert) return std::nullopt;
    out.expert = *expert;
    if (layer != "all") {
        out.layer = numberIn<uint32_t>(layer);
        if (!out.layer) return std::nullopt;
    }
    if (value == "forbid") return out;
    out.value = numberIn<double>(value);
    if (!out.value || !std::isfinite(*out.value)) return std::nullopt;
    return out;
}

}  // namespace

void addRouterFlags(CLI::App& app, RouterFlags& flags) {
    app.add_option("--active-experts", flags.active, "Experts that work on a token, instead of as trained");
    app.add_option("--router-temperature", flags.temperature,
                   "Divides the routers' logits: below 1 the best expert counts more; 0.05 to 20");
    app.add_option("--expert-floor", flags.floor,
                   "Leave out chosen experts below this share of the best one; 0 to 1");
    app.add_option("--expert-bias", flags.biases,
                   "Added to an expert's logit, as in 3:17:2.5 or all:5:forbid; may be given again")
        ->type_name("LAYER:EXPERT:VALUE|forbid");
}

base::Result<std::optional<protocol::RouterWish>> routerWish(const RouterFlags& flags) {
    if (!flags.active && !flags.temperature && !flags.floor && flags.biases.empty())
        return std::optional<protocol::RouterWish>();
    // JSON cannot say NaN or infinity: they would arrive as if nothing had been given.
    for (const auto& [flag, value] :
         {std::pair("--router-temperature", flags.temperature), {"--expert-floor", flags.floor}})
        if (value && !std::isfinite(*value))
            return base::Error{base::Code::OutOfRange, {}, flag, {std::to_string(*value), "a number"}};
    protocol::RouterWish out{flags.temperature, flags.active, flags.floor, {}};
    for (const std::string& text : flags.biases) {
        const auto bias = biasOf(text);
        if (!bias)
            return base::Error{base::Code::OutOfRange,
                               {},
                               "--expert-bias",
                               {text, "LAYER:EXPERT:VALUE or LAYER:EXPERT:forbid, where LAYER may be all"}};
        out.bias.push_back(*bias);
    }
    return std::optional(std::move(out));
}

}  // namespace conclave::engine::cli
