#include "engine/offline/adapter_to_gguf.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <memory>
#include <utility>

#include "engine/formats/adapter_file.h"
#include "engine/formats/gguf.h"
#include "engine/formats/tensor_bytes.h"
#include "engine/library/names.h"
#include "engine/offline/adapter_pairs.h"
#include "engine/offline/destination.h"
#include "engine/offline/encoding.h"

namespace conclave::engine::offline {
namespace {

using base::Code;
using base::Error;
using base::Result;
using formats::GgufArray;
using formats::GgufScalar;
using formats::GgufWriteTensor;
using model::Role;
using quant::Format;
using Sink = std::function<Result<void>(std::span<const std::byte>)>;

/// The pairs of one matrix, or of a stack of them.
struct Stack {
    std::string name;  ///< of the base's tensor
    std::vector<AdapterFactors> parts;
    uint32_t count = 1, rank = 0, inputs = 0, outputs = 0;
    Format format = Format::F32;
};

/// What B is multiplied with, so that the file's strength times it is the pair's; 1 where it is already, or
/// is but for the last bit. In GGUF an alpha of 0 means a strength of 1.
double foldOf(const AdapterFactors& factors, const Stack& stack, float alpha) {
    const double given = alpha == 0 ? 1 : static_cast<double>(alpha) / stack.rank;
    const double off = std::fabs(given - factors.scale);
    if (off <= std::fabs(factors.scale) * std::numeric_limits<float>::epsilon()) return 1;
    return factors.scale / given;
}

std::vector<float> foldedB(const AdapterFactors& factors, double fold) {
    std::vector<float> b = factors.b();
    if (fold != 1)
        for (float& value : b)
            value = static_cast<float>(value * fold);
    return b;
}

/// The alpha that most pairs have; 0, which means a scale of 1, where none has one.
float commonAlpha(const std::vector<Stack>& stacks) {
    std::map<float, size_t> votes;
    for (const Stack& stack : stacks)
        for (const AdapterFactors& part : stack.parts)
            if (const float alpha = alphaFor(part.scale, stack.rank); alpha != 0 && std::isfinite(alpha))
                ++votes[alpha];
    const auto most = std::ranges::max_element(votes, {}, [](const auto& vote) { return vote.second; });
    return most == votes.end() ? 0 : most->first;
}

std::string nameOf(std::span<const model::NameRow> names, Role role, uint32_t layer) {
    for (const model::NameRow& row : names)
        if (row.role == role && !row.gguf.empty()) return model::fillName(row.gguf, layer);
    CONCLAVE_CHECK(false && "every matrix has a name in GGUF");
    return {};
}

std::vector<Stack> stacked(std::vector<AdapterFactors> all, std::span<const model::NameRow> names) {
    std::vector<Stack> out;
    for (AdapterFactors& factors : all) {
        const bool same = !out.empty() && out.back().parts.back().role == factors.role &&
                          out.back().parts.back().layer == factors.layer;
        if (!same)
            out.push_back({.name = nameOf(names, factors.role, factors.layer),
                           .parts = {},
                           .count = factors.parts,
                           .inputs = factors.inputs,
                           .outputs = factors.outputs,
                           .format = factors.format});
        Stack& stack = out.back();
        stack.rank = std::max(stack.rank, factors.rank);
        if (factors.format != stack.format) stack.format = Format::F32;
        stack.parts.push_back(std::move(factors));
    }
    return out;
}

/// Rows of A of a pair, filled up to the rank of its stack; B the same way along its other side.
std::vector<float> filledA(const AdapterFactors& factors, uint32_t rank) {
    std::vector<float> a = factors.a();
    a.resize(size_t{rank} * factors.inputs, 0.0f);
    return a;
}

std::vector<float> filledB(const AdapterFactors& factors, uint32_t rank, double fold) {
    const std::vector<float> b = foldedB(factors, fold);
    if (rank == factors.rank) return b;
    std::vector<float> out(size_t{factors.outputs} * rank, 0.0f);
    for (size_t o = 0; o < factors.outputs; ++o)
        std::copy_n(&b[o * factors.rank], factors.rank, &out[o * rank]);
    return out;
}

class Writer {
  public:
    Writer(std::vector<Stack> stacks, const ConvertOptions& options, ConvertReport& report)
        : stacks_(std::move(stacks)), options_(options), report_(report), alpha_(commonAlpha(stacks_)) {}

    std::vector<GgufWriteTensor> tensors() {
        std::vector<GgufWriteTensor> out;
        for (Stack& stack : stacks_) {
            noteFolds(stack);
            if (options_.format) stack.format = *options_.format;
            countRounded(stack);
            add(stack, true, out);
            add(stack, false, out);
        }
        report_.alpha = alpha_;
        report_.pairs = static_cast<uint32_t>(stacks_.size());
        if (report_.folded > 0)
            report_.notes.push_back(
                std::to_string(report_.folded) + (report_.folded == 1 ? " pair has" : " pairs have") +
                " another strength than alpha " + shown(alpha_) + " gives; it is multiplied into B");
        if (widened_ > 0)
            report_.notes.push_back("of these " + std::to_string(widened_) +
                                    " became F32, because the stored format does not have the products");
        if (padded_ > 0)
            report_.notes.push_back(
                std::to_string(padded_) +
                " experts or heads that are not adapted, or with a lower rank than others "
                "of their layer, are filled up with zeros");
        return out;
    }

  private:
    static std::string shown(float value) {
        char text[32];
        std::snprintf(text, sizeof text, "%g", static_cast<double>(value));
        return text;
    }

    void noteFolds(Stack& stack) {
        padded_ += stack.count - stack.parts.size();
        for (const AdapterFactors& part : stack.parts) {
            if (part.rank < stack.rank) ++padded_;
            const double fold = foldOf(part, stack, alpha_);
            if (fold == 1) continue;
            ++report_.folded;
            if (stack.format == Format::F32 || holds(stack.format, foldedB(part, fold))) continue;
            stack.format = Format::F32;
            ++widened_;
        }
    }

    void countRounded(const Stack& stack) {
        if (stack.format == Format::F32) return;
        for (const AdapterFactors& part : stack.parts) {
            if (part.format == stack.format && foldOf(part, stack, alpha_) == 1) continue;
            report_.rounded += !holds(stack.format, part.a());
            report_.rounded += !holds(stack.format, foldedB(part, foldOf(part, stack, alpha_)));
        }
    }

    void add(const Stack& stack, bool isA, std::vector<GgufWriteTensor>& out) {
        std::vector<uint64_t> shape;
        if (stack.count > 1) shape.push_back(stack.count);
        shape.push_back(isA ? stack.rank : stack.outputs);
        shape.push_back(isA ? stack.inputs : stack.rank);
        const std::string name = stack.name + (isA ? ".lora_a" : ".lora_b");
        report_.bytes += formats::tensorBytes(stack.format, shape);
        const Stack* what = &stack;
        out.push_back({name, stack.format, std::move(shape),
                       [this, what, name, isA](const Sink& sink) { return write(*what, name, isA, sink); }});
    }

    Result<void> write(const Stack& stack, const std::string& name, bool isA, const Sink& sink) const {
        const size_t each = size_t{stack.rank} * (isA ? stack.inputs : stack.outputs);
        size_t next = 0;
        for (uint32_t part = 0; part < stack.count; ++part) {
            std::vector<float> values(each, 0.0f);
            if (next < stack.parts.size() && stack.parts[next].part == part) {
                const AdapterFactors& factors = stack.parts[next++];
                values = isA ? filledA(factors, stack.rank)
                             : filledB(factors, stack.rank, foldOf(factors, stack, alpha_));
            }
            CONCLAVE_TRY(const std::vector<std::byte> bytes,
                         encoded(values, stack.format, options_.source, name));
            CONCLAVE_TRY_VOID(sink(bytes));
        }
        return {};
    }

    std::vector<Stack> stacks_;
    const ConvertOptions& options_;
    ConvertReport& report_;
    float alpha_;
    size_t widened_ = 0, padded_ = 0;
};

formats::GgufMetadata keysOf(const model::Adapter& adapter, const AdapterBase& base, double alpha) {
    formats::GgufMetadata out{{"general.architecture", GgufScalar(base.architecture)},
                              {"general.type", GgufScalar(std::string("adapter"))},
                              {"adapter.type", GgufScalar(std::string("lora"))},
                              {"adapter.lora.alpha", GgufScalar(static_cast<float>(alpha))},
                              {"general.base_model.count", GgufScalar(uint32_t{1})},
                              {"general.base_model.0.name", GgufScalar(library::nameFromPath(base.path))},
                              {formats::kFingerprintKeyGguf, GgufScalar(base.fingerprint)}};
    std::vector<uint32_t> tokens;
    for (const base::TokenId token : adapter.invocation)
        tokens.push_back(static_cast<uint32_t>(toInt(token)));
    if (!tokens.empty()) out.emplace_back("adapter.alora.invocation_tokens", GgufArray(std::move(tokens)));
    return out;
}

/// What llama.cpp, the other reader of such files, does not compute.
void noteForeign(const std::vector<AdapterFactors>& factors, const AdapterBase& base, ConvertReport& report) {
    const auto has = [&](std::initializer_list<Role> roles) {
        return std::ranges::any_of(factors, [&](const AdapterFactors& pair) {
            return std::ranges::find(roles, pair.role) != roles.end();
        });
    };
    if (has({Role::LatentKey, Role::LatentValue, Role::LatentB}))
        report.notes.push_back("llama.cpp reads the factors of kv_b and computes without them");
    if (has({Role::Head}) && base.outline.config.tiedEmbeddings)
        report.notes.push_back("the model makes its logits with its embedding, and llama.cpp knows no "
                               "output.weight to adapt in such a model");
}

/// A GGUF file that is there is replaced where it is an adapter too.
Result<void> checkReplaced(const std::string& path) {
    CONCLAVE_TRY_VOID(checkDestination(path));
    if (!isGguf(path)) return {};
    if (formats::openAdapter(path).ok()) return {};
    return Error{Code::BadArgument,
                 "",
                 path,
                 {"is there already and is not an adapter; remove it or choose another name"}};
}

}  // namespace

float alphaFor(float scale, uint32_t rank) {
    const auto gives = [&](float alpha) {
        return static_cast<float>(static_cast<double>(alpha) / rank) == scale;
    };
    const auto near = static_cast<float>(static_cast<double>(scale) * rank);
    constexpr float kAll = std::numeric_limits<float>::max();
    for (const float alpha : {near, std::nextafter(near, -kAll), std::nextafter(near, kAll)})
        if (gives(alpha)) return alpha;
    return near;
}

Result<ConvertReport> adapterToGguf(const model::Adapter& adapter, const AdapterBase& base,
                                    const ConvertOptions& options) {
    CONCLAVE_TRY_VOID(checkReplaced(options.destination));
    const AdapterForm form{.rowsInPairs = base.architecture == "llama", .wholeKvB = base.wholeKvB};
    CONCLAVE_TRY(std::vector<AdapterFactors> factors, factorsOf(adapter, base, form, options.source));
    ConvertReport report;
    report.form = "GGUF";
    noteForeign(factors, base, report);
    Writer writer(stacked(std::move(factors), base.outline.matrices.names), options, report);
    const std::vector<GgufWriteTensor> tensors = writer.tensors();
    CONCLAVE_TRY_VOID(
        formats::writeGguf(options.destination, keysOf(adapter, base, report.alpha), tensors, {}));
    return report;
}

}  // namespace conclave::engine::offline
