#include "engine/model/adapter_names.h"

#include <map>
#include <optional>

#include "engine/model/adapter_fused.h"

namespace conclave::engine::model {
namespace {

using base::Code;
using base::Error;
using base::Result;
using formats::AdapterFile;
using formats::TensorInfo;

constexpr std::string_view kPeftPrefix = "base_model.model.";

/// "…q_proj.lora_A.weight" -> {"…q_proj", true}; nothing for a name of another form.
struct Half {
    std::string module;
    bool isA = false;
};
std::optional<Half> halfOf(std::string_view name, AdapterFile::Kind kind) {
    const bool peft = kind == AdapterFile::Kind::Peft;
    for (const bool isA : {true, false}) {
        const std::string_view end =
            peft ? (isA ? ".lora_A.weight" : ".lora_B.weight") : (isA ? ".weight.lora_a" : ".weight.lora_b");
        if (!name.ends_with(end)) continue;
        name.remove_suffix(end.size());
        if (peft && name.starts_with(kPeftPrefix)) name.remove_prefix(kPeftPrefix.size());
        return Half{std::string(name), isA};
    }
    return std::nullopt;
}

Error mismatch(const AdapterFile& file, const TensorInfo& tensor, const std::string& what) {
    return {Code::AdapterMismatch, file.path, tensor.name, {what}};
}

Error wrongShape(const TensorInfo& tensor, const std::string& needed) {
    return {Code::TensorShape, tensor.file, tensor.name, {formats::shapeText(tensor.shape), needed}};
}

/// A pair for single matrices, or a stack of pairs [matrices][…] for all of them at once.
class Planner {
  public:
    Planner(const AdapterFile& file, const AdapterPair& pair, const ModelConfig& config,
            const MatrixTable& table)
        : file_(file), pair_(pair), config_(config), table_(table) {}

    Result<std::vector<FactorPlan>> plan(const ModuleName& name) {
        Role role = name.role;
        if (role == Role::Embedding)
            return Error{Code::UnsupportedOption,
                         file_.path,
                         pair_.a->name,
                         {"an adapted embedding", "merge the adapter into the model instead"}};
        if (role == Role::LatentB) return planLatent(name.layer);
        if (role == Role::Head && config_.tiedEmbeddings) role = Role::Embedding;
        const std::optional<MatrixId> id = table_.find(role, name.layer);
        if (!id || table_[*id].rows < 2) return mismatch(file_, *pair_.a, "the model has no such matrix");
        const MatrixInfo& info = table_[*id];
        if (name.expert && *name.expert >= info.matrices)
            return mismatch(file_, *pair_.a,
                            "the model has " + std::to_string(info.matrices) + " experts in a layer");
        const uint32_t parts = name.expert ? 1 : info.matrices;
        CONCLAVE_TRY(const uint32_t rank, rankOf(parts, info.rows, info.cols));
        std::vector<FactorPlan> out;
        for (uint32_t i = 0; i < parts; ++i) {
            FactorPlan plan = plain(*id, name.expert.value_or(i), rank, info.rows, info.cols);
            plan.a.begin = size_t{i} * rank * info.cols;
            plan.b.begin = size_t{i} * rank * info.rows;
            plan.order = orderOf(role, info.rows);
            out.push_back(std::move(plan));
        }
        return out;
    }

  private:
    /// Both tensors of a pair for `parts` matrices [rows][cols], checked.
    Result<uint32_t> rankOf(uint32_t parts, uint64_t rows, uint64_t cols) const {
        const std::vector<uint64_t>&a = pair_.a->shape, &b = pair_.b->shape;
        const size_t outer = parts > 1 ? 1 : 0;
        const auto stacked = [&](const std::string& shape) {
            return (parts > 1 ? "[" + std::to_string(parts) + ", " : "[") + shape + "]";
        };
        if (a.size() != 2 + outer || a.back() != cols || (outer == 1 && a[0] != parts))
            return wrongShape(*pair_.a, stacked("rank, " + std::to_string(cols)));
        const uint64_t rank = a[outer];
        CONCLAVE_TRY_VOID(checkRank(file_, *pair_.a, rank, rows, cols, config_));
        if (b.size() != 2 + outer || b.back() != rank || b[outer] != rows || (outer == 1 && b[0] != parts))
            return wrongShape(*pair_.b, stacked(std::to_string(rows) + ", " + std::to_string(rank)));
        return static_cast<uint32_t>(rank);
    }

    static FactorPlan plain(MatrixId id, uint32_t part, uint32_t rank, uint32_t rows, uint32_t cols) {
        FactorPlan plan;
        plan.id = id;
        plan.part = part;
        plan.rank = rank;
        plan.inputs = cols;
        plan.outputs = rows;
        plan.a = {true, 0, cols, 1};
        plan.b = {false, 0, 1, rank};
        return plan;
    }

    /// Q and K where file and base keep the rows of a head in different orders.
    std::vector<uint32_t> orderOf(Role role, uint32_t rows) const {
        if ((role != Role::Query && role != Role::Key) || config_.latentRank > 0) return {};
        const bool filePairs = file_.kind == AdapterFile::Kind::Gguf && file_.architecture == "llama";
        const bool basePairs = config_.rope.interleaved;
        return filePairs == basePairs ? std::vector<uint32_t>{}
                                      : rotatedOrder(rows, config_.keyDim, basePairs);
    }

    /// kv_b [heads * (nope + value)][latent rank] in its two halves: a head's key half, transposed, and its
    /// value half.
    Result<std::vector<FactorPlan>> planLatent(uint32_t layer) {
        const std::optional<MatrixId> key = table_.find(Role::LatentKey, layer),
                                      value = table_.find(Role::LatentValue, layer);
        if (!key || !value) return mismatch(file_, *pair_.a, "the model has no such matrix");
        const uint32_t nope = config_.nopeDim, each = nope + config_.valueDim;
        CONCLAVE_TRY(const uint32_t rank, rankOf(1, uint64_t{config_.heads} * each, config_.latentRank));
        std::vector<FactorPlan> out;
        for (uint32_t head = 0; head < config_.heads; ++head) {
            const size_t first = size_t{head} * each * rank;
            FactorPlan keys = plain(*key, head, rank, config_.latentRank, nope);
            keys.a = {false, first, 1, rank};
            keys.b = {true, 0, config_.latentRank, 1};
            out.push_back(std::move(keys));
            FactorPlan values = plain(*value, head, rank, config_.valueDim, config_.latentRank);
            values.b.begin = first + size_t{nope} * rank;
            out.push_back(std::move(values));
        }
        return out;
    }

    const AdapterFile& file_;
    const AdapterPair& pair_;
    const ModelConfig& config_;
    const MatrixTable& table_;
};

}  // namespace

std::vector<uint32_t> rotatedOrder(uint32_t rows, uint32_t headDim, bool toPairs) {
    std::vector<uint32_t> order(rows);
    for (uint32_t o = 0; o < rows; ++o) {
        const uint32_t head = o / headDim * headDim, i = o % headDim, half = headDim / 2;
        order[o] = head + (toPairs ? i / 2 + i % 2 * half : i < half ? 2 * i : 2 * (i - half) + 1);
    }
    return order;
}

Result<void> checkRank(const AdapterFile& file, const TensorInfo& a, uint64_t rank, uint64_t rows,
                       uint64_t cols, const ModelConfig& config) {
    const uint64_t most = std::min<uint64_t>(config.hidden, std::max(rows, cols));
    if (rank >= 1 && rank <= most) return {};
    return Error{Code::ValueOutOfRange,
                 file.path,
                 a.name,
                 {"rank " + std::to_string(rank), "1 to " + std::to_string(most)}};
}

Result<std::vector<AdapterPair>> pairsOf(const AdapterFile& file) {
    std::map<std::string, AdapterPair> found;
    for (const TensorInfo& tensor : file.tensors.all()) {
        const std::optional<Half> half = halfOf(tensor.name, file.kind);
        if (!half)
            return Error{
                Code::UnsupportedOption,
                file.path,
                tensor.name,
                {"such a tensor", "only pairs of low-rank factors are; merge the adapter into the model"}};
        AdapterPair& pair = found[half->module];
        pair.module = half->module;
        (half->isA ? pair.a : pair.b) = &tensor;
    }
    std::vector<AdapterPair> out;
    for (auto& [module, pair] : found) {
        if (pair.a == nullptr || pair.b == nullptr)
            return Error{Code::MissingTensor,
                         file.path,
                         (pair.a == nullptr ? "A" : "B") + std::string(" of ") + module,
                         {}};
        out.push_back(std::move(pair));
    }
    if (out.empty()) return Error{Code::NotAnAdapter, file.path, "", {"it has no tensors"}};
    return out;
}

std::optional<ModuleName> moduleNamed(const std::string& module, AdapterFile::Kind kind,
                                      const MatrixTable& table) {
    const std::string tensor = module + ".weight";
    for (const NameRow& row : table.names) {
        const std::string_view pattern = kind == AdapterFile::Kind::Peft ? row.huggingFace : row.gguf;
        if (pattern.empty()) continue;
        const std::optional<NameNumbers> numbers = matchName(pattern, tensor);
        if (!numbers) continue;
        ModuleName name{.role = row.role, .layer = numbers->layer, .expert = {}};
        if (pattern.find("{expert}") != std::string_view::npos) name.expert = numbers->expert;
        return name;
    }
    return std::nullopt;
}

Result<std::vector<FactorPlan>> planFactors(const AdapterFile& file, const AdapterPair& pair,
                                            std::optional<Orientation> orientation, const ModelConfig& config,
                                            const MatrixTable& table, std::string& scaledAs) {
    scaledAs = pair.module;
    if (const std::optional<ModuleName> name = moduleNamed(pair.module, file.kind, table))
        return Planner(file, pair, config, table).plan(*name);
    if (file.kind == AdapterFile::Kind::Peft)
        if (const std::optional<uint32_t> layer = fusedLayer(pair.module))
            return planFused(file, pair, *layer, orientation, config, table, scaledAs);
    return mismatch(file, *pair.a, "the model has no such matrix");
}

}  // namespace conclave::engine::model
