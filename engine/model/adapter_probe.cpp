#include "engine/model/adapter_probe.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <limits>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "engine/model/adapter_fused.h"

namespace conclave::engine::model {
namespace {

using base::Code;
using base::Error;
using base::Result;
using formats::AdapterFile;
using formats::TensorInfo;

/// A sum in float64, and the same sum without signs: what its rounding is measured by.
struct Sum {
    double value = 0, size = 0;
    void add(double factor, const Sum& term) {
        value += factor * term.value;
        size += std::abs(factor) * term.size;
    }
};

/// Up to 64 of 0 … count - 1, the first and the last among them.
std::vector<size_t> spread(size_t count) {
    std::vector<size_t> out(std::min<size_t>(count, 64));
    for (size_t i = 0; i < out.size(); ++i)
        out[i] = out.size() == count ? i : i * (count - 1) / (out.size() - 1);
    return out;
}

/// What is put in at these places: values between -1 and 1 without a pattern (the mixing function of
/// SplitMix64).
std::vector<Sum> inputsAt(const std::vector<size_t>& places) {
    std::vector<Sum> out;
    out.reserve(places.size());
    for (const size_t place : places) {
        uint64_t bits = (place + 1) * 0x9e3779b97f4a7c15;
        bits = (bits ^ (bits >> 30)) * 0xbf58476d1ce4e5b9;
        bits = (bits ^ (bits >> 27)) * 0x94d049bb133111eb;
        const double value = static_cast<double>(bits >> 11) * 0x1p-52 - 1;
        out.push_back({value, std::abs(value)});
    }
    return out;
}

float valueAt(quant::Format format, const std::byte* values, size_t index) {
    const quant::FormatInfo& info = quant::info(format);
    std::array<float, 256> block;
    info.decode(values + index / info.blockValues * info.blockBytes, 1, block.data());
    return block[index % info.blockValues];
}

std::string shown(double value) {
    char text[32];
    std::snprintf(text, sizeof text, "%.17g", value);
    return text;
}

/// The matrix of the model that a part of a pair is for.
struct Target {
    MatrixId id;
    size_t part, rank, inputs, outputs;
};

/// One pair, by the formula of its form, against what lies in memory.
class PairProbe {
  public:
    PairProbe(const AdapterOrigin& origin, const AdapterPair& pair, const Adapter& adapter)
        : origin_(origin), config_(origin.config), pair_(pair), adapter_(adapter) {}

    /// A [rank][inputs], B [outputs][rank], or stacks of them: torch.nn.Linear in PEFT, and llama.cpp.
    Result<void> plain(const ModuleName& name) {
        if (name.role == Role::LatentB) return latent(name.layer);
        const bool tied = name.role == Role::Head && config_.tiedEmbeddings;
        const MatrixId id = matrix(tied ? Role::Embedding : name.role, name.layer);
        const size_t rank = pair_.b->shape.back(), in = origin_.table[id].cols, out = origin_.table[id].rows;
        CONCLAVE_TRY_VOID(scale(pair_.module, rank));
        const auto probe = [&](size_t m) {
            const size_t part = name.expert ? *name.expert : m;
            const auto a = [&](size_t k, size_t i) { return (m * rank + k) * in + i; };
            const auto b = [&](size_t k, size_t o) { return (m * out + rowOf(name.role, o)) * rank + k; };
            return compare({id, part, rank, in, out}, *pair_.a, a, *pair_.b, b);
        };
        CONCLAVE_TRY_VOID(probe(0));
        return name.expert ? Result<void>() : probe(origin_.table[id].matrices - 1);
    }

    /// ParamWrapper of PEFT's tuners/lora/layer.py: weight_A = A.reshape(experts, rank, -1), weight_B =
    /// B.reshape(-1, rank, experts), delta = einsum("o r e, e r i -> e o i", weight_B, weight_A). Swapped, o
    /// counts the parameter's inputs and i its outputs. gate_up_proj has the outputs of gate, then of up.
    Result<void> fused(Role role, uint32_t layer) {
        const bool down = role == Role::ExpertDown;
        const size_t experts = config_.experts, rank = pair_.a->shape[0] / experts, each = pair_.a->shape[1];
        const size_t width = config_.expertIntermediate, in = down ? width : config_.hidden,
                     out = down ? config_.hidden : width, all = down ? out : 2 * width;
        const bool swapped = in == all ? origin_.orientation == Orientation::Swapped : each == all;
        CONCLAVE_TRY_VOID(scale("model.layers." + std::to_string(layer) + ".mlp.experts." +
                                    (down ? "down_proj" : "gate_up_proj"),
                                rank));
        const auto probe = [&](Role half, size_t e, size_t first) {
            const Target target{matrix(half, layer), e, rank, in, out};
            const auto weightA = [&](size_t k, size_t i) { return (e * rank + k) * each + i; };
            const auto weightB = [&](size_t k, size_t o) { return (o * rank + k) * experts + e; };
            if (swapped)
                return compare(target, *pair_.b, weightB, *pair_.a,
                               [&](size_t k, size_t o) { return weightA(k, first + o); });
            return compare(target, *pair_.a, weightA, *pair_.b,
                           [&](size_t k, size_t o) { return weightB(k, first + o); });
        };
        for (const size_t e : {size_t{0}, experts - 1}) {
            CONCLAVE_TRY_VOID(probe(role, e, 0));
            if (!down) CONCLAVE_TRY_VOID(probe(Role::ExpertUp, e, width));
        }
        return {};
    }

  private:
    /// kv_b's delta is B A [heads][nope, then value][latent]. Absorbed (DeepSeek-V2, arXiv
    /// 2405.04434, 2.1.2), a query is multiplied with the transposed key part of its head, and the latent
    /// with the value part.
    Result<void> latent(uint32_t layer) {
        const size_t rank = pair_.a->shape[0], in = config_.latentRank, nope = config_.nopeDim,
                     value = config_.valueDim;
        CONCLAVE_TRY_VOID(scale(pair_.module, rank));
        const auto a = [&](size_t k, size_t i) { return k * in + i; };
        for (const size_t head : {size_t{0}, size_t{config_.heads} - 1}) {
            const auto keys = [&](size_t k, size_t row) { return (head * (nope + value) + row) * rank + k; };
            const auto values = [&](size_t k, size_t row) { return keys(k, nope + row); };
            CONCLAVE_TRY_VOID(
                compare({matrix(Role::LatentKey, layer), head, rank, nope, in}, *pair_.b, keys, *pair_.a, a));
            CONCLAVE_TRY_VOID(compare({matrix(Role::LatentValue, layer), head, rank, in, value}, *pair_.a, a,
                                      *pair_.b, values));
        }
        return {};
    }

    MatrixId matrix(Role role, uint32_t layer) const { return *origin_.table.find(role, layer); }

    Result<void> scale(const std::string& module, size_t rank) {
        CONCLAVE_TRY(scale_, origin_.file.scaleOf(module, static_cast<uint32_t>(rank)));
        return {};
    }

    /// The row of B that row o of the base is: permute() of llama.cpp's convert_hf_to_gguf.py makes
    /// [head][half][i] of q and k [head][i][half], in weights and in adapters.
    size_t rowOf(Role role, size_t o) const {
        const bool rotated = (role == Role::Query || role == Role::Key) && config_.latentRank == 0;
        const bool fileHasPairs =
            origin_.file.kind == AdapterFile::Kind::Gguf && origin_.file.architecture == "llama";
        const bool baseHasPairs = config_.rope.interleaved;
        if (!rotated || fileHasPairs == baseHasPairs) return o;
        const size_t half = config_.keyDim / 2, head = o / config_.keyDim * config_.keyDim,
                     at = o % config_.keyDim;
        return head + (baseHasPairs ? at % 2 * half + at / 2 : at % half * 2 + at / half);
    }

    /// `first(k, i)` says where in tensor `a` value i of rank k of the factor over inputs lies, `second(k,
    /// o)` where in `b` that of the factor over outputs does. Both sides add products of the same float32
    /// values in float64, so that each sum is within (terms + 2) * 2^-53 of the exact one, measured by its
    /// terms without signs (Higham, Accuracy and Stability of Numerical Algorithms, 3.1).
    template <class First, class Second>
    Result<void> compare(const Target& t, const TensorInfo& a, First first, const TensorInfo& b,
                         Second second) const {
        const LowRank* there = adapter_.find(t.id, static_cast<uint32_t>(t.part));
        if (there == nullptr) return differs(t, "nothing is added");
        if (there->a.rows != t.rank || there->b.rows != t.rank || there->a.cols != t.inputs ||
            there->b.cols != t.outputs)
            return differs(t, "the factors have another shape");
        const std::vector<size_t> inputs = spread(t.inputs), outputs = spread(t.outputs);
        const std::vector<Sum> x = inputsAt(inputs);
        std::vector<Sum> file(outputs.size()), memory(outputs.size());
        for (size_t k = 0; k < t.rank; ++k) {
            const std::byte *rowA = there->a.data + k * there->a.stride,
                            *rowB = there->b.data + k * there->b.stride;
            Sum inFile, inMemory;
            for (size_t i = 0; i < inputs.size(); ++i) {
                inFile.add(valueAt(a.format, a.bytes.data(), first(k, inputs[i])), x[i]);
                inMemory.add(valueAt(there->a.format, rowA, inputs[i]), x[i]);
            }
            for (size_t o = 0; o < outputs.size(); ++o) {
                file[o].add(valueAt(b.format, b.bytes.data(), second(k, outputs[o])), inFile);
                memory[o].add(valueAt(there->b.format, rowB, outputs[o]), inMemory);
            }
        }
        const double room =
            static_cast<double>(inputs.size() + t.rank + 4) * std::numeric_limits<double>::epsilon();
        for (size_t o = 0; o < outputs.size(); ++o) {
            const double is = memory[o].value * there->scale, should = file[o].value * scale_;
            if (!(std::abs(is - should) <= room * file[o].size * std::abs(scale_)))
                return differs(t, "output " + std::to_string(outputs[o]) + " is " + shown(is) +
                                      " where the file says " + shown(should));
        }
        return {};
    }

    Error differs(const Target& t, const std::string& how) const {
        return {Code::Internal,
                origin_.file.path,
                pair_.module,
                {"loaded, the adapter computes something else than its file (matrix " +
                 std::to_string(t.part) + ": " + how + ")"}};
    }

    const AdapterOrigin& origin_;
    const ModelConfig& config_;
    const AdapterPair& pair_;
    const Adapter& adapter_;
    float scale_ = 0;
};

/// What a pair adapts; of a fused one ExpertGate for gate and up together, or ExpertDown.
struct PairForm {
    ModuleName name;
    bool fused = false;
};
PairForm formOf(const AdapterOrigin& origin, const AdapterPair& pair) {
    if (const auto name = moduleNamed(pair.module, origin.file.kind, origin.table)) return {*name};
    const size_t a = pair.a->shape[1], b = pair.b->shape[0], hidden = origin.config.hidden,
                 both = size_t{2} * origin.config.expertIntermediate;
    const bool gateUp = (a == hidden && b == both) || (a == both && b == hidden);
    const Role role = gateUp ? Role::ExpertGate : Role::ExpertDown;
    return {{.role = role, .layer = *fusedLayer(pair.module), .expert = {}}, true};
}

bool anyValue(const kernels::MatrixView& matrix) {
    std::vector<float> row(matrix.cols);
    for (size_t r = 0; r < matrix.rows; ++r) {
        quant::info(matrix.format).decode(matrix.data + r * matrix.stride, row.size(), row.data());
        if (std::ranges::any_of(row, [](float value) { return value != 0; })) return true;
    }
    return false;
}

}  // namespace

Result<void> probeAdapter(const AdapterOrigin& origin, const Adapter& adapter) {
    struct Chosen {
        const AdapterPair* pair;
        PairForm form;
    };
    // By role, and fused ones apart; of single experts the first and the one of the highest number.
    std::map<std::pair<Role, bool>, std::pair<Chosen, Chosen>> chosen;
    for (const AdapterPair& pair : origin.pairs) {
        const Chosen one{&pair, formOf(origin, pair)};
        const ModuleName& name = one.form.name;
        Chosen& last = chosen.try_emplace({name.role, one.form.fused}, one, one).first->second.second;
        if (name.expert > last.form.name.expert) last = one;
    }
    const auto probe = [&](const Chosen& one) {
        PairProbe pair(origin, *one.pair, adapter);
        return one.form.fused ? pair.fused(one.form.name.role, one.form.name.layer)
                              : pair.plain(one.form.name);
    };
    for (const auto& [kind, ends] : chosen) {
        CONCLAVE_TRY_VOID(probe(ends.first));
        if (ends.second.pair != ends.first.pair) CONCLAVE_TRY_VOID(probe(ends.second));
    }
    return {};
}

bool changesNothing(const Adapter& adapter) {
    return std::ranges::none_of(adapter.factors, [](const std::vector<LowRank>& parts) {
        return std::ranges::any_of(parts, [](const LowRank& factor) {
            return factor.scale != 0 && anyValue(factor.b) && anyValue(factor.a);
        });
    });
}

}  // namespace conclave::engine::model
