#include "engine/model/load.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "engine/model/family.h"
#include "engine/model/footprint.h"
#include "engine/model/outline.h"
#include "engine/model/pass.h"
#include "engine/model/rope.h"
#include "engine/model/rounding.h"
#include "engine/model/workspace.h"
#include "engine/residency/plan.h"
#include "engine/residency/weights.h"

namespace conclave::engine::model {
namespace {

using base::Result;
using formats::TensorDirectory;
using kernels::Activation;
using quant::Format;

constexpr size_t kLeastThreads = 16;  // scratch is there for so many workers even on a smaller machine

/// A loaded model's state: everything that forward() needs between two steps.
struct Running {
    ModelConfig config;
    const kernels::Kernels* kernels;
    kernels::KvType kvType;
    residency::Weights weights;
    std::vector<Activation> activations;  // by MatrixId
    std::vector<double> frequencies;      // of the rotation
    Workspace buffers;
    Layers layers;
    uint32_t maxRows;
};

// --- the plan ---

/// In exact mode both halves of kv_b are float32, like everything that is computed from weights.
Format absorbedExactly(Format) {
    return Format::F32;
}

/// In production they stay as near to the weights as a format with a fast product allows.
Format absorbedForSpeed(Format stored) {
    if (quant::info(stored).blockValues > 1) return Format::Q8_0;
    return stored == Format::BF16 ? Format::BF16 : Format::F32;
}

void warnOfSkipped(const residency::Plan& plan, ModelConfig& c) {
    std::vector<std::string> names = plan.skipped;
    std::erase(names, "rope_freqs.weight");  // read with the configuration
    if (names.empty()) return;
    const std::string what =
        c.predictionLayers > 0 ? "multi-token-prediction layers and other left-overs" : "left-overs";
    c.warnings.push_back("skipped " + std::to_string(names.size()) +
                         (names.size() == 1 ? " tensor" : " tensors") + " that answering does not need (" +
                         what + "), such as " + names.front());
}

// --- forward ---

/// Lists the rows of all slices and checks what the caller promised.
void listRows(Running& m, const Step& step) {
    Workspace& b = m.buffers;
    b.tokens.clear();
    b.places.clear();
    for (const Slice& slice : step.slices) {
        CONCLAVE_CHECK(b.tokens.size() + slice.tokens.size() <= m.maxRows);
        const size_t end = slice.start + slice.tokens.size();
        CONCLAVE_CHECK(slice.pages.size() * kernels::kPagePositions >= end);
        for (size_t i = 0; i < slice.tokens.size(); ++i) {
            CONCLAVE_CHECK(toInt(slice.tokens[i]) >= 0 &&
                           static_cast<uint32_t>(toInt(slice.tokens[i])) < m.config.vocabulary);
            b.tokens.push_back(slice.tokens[i]);
            b.places.push_back({slice.start + static_cast<uint32_t>(i), slice.pages.data()});
        }
    }
}

/// The rows of the step that are adapted; neighbours with one and the same adapter make one run.
void listAdapters(Running& m, const Step& step) {
    std::vector<AdapterRows>& runs = m.buffers.adapterRows;
    runs.clear();
    uint32_t row = 0;
    for (const Slice& slice : step.slices) {
        const auto rows = static_cast<uint32_t>(slice.tokens.size());
        const uint32_t before =
            slice.adaptedFrom > slice.start ? std::min(rows, slice.adaptedFrom - slice.start) : 0;
        const uint32_t first = row + before;
        row += rows;
        if (first == row) continue;
        for (const AdapterUse& use : slice.adapters) {
            AdapterRows* last = runs.empty() ? nullptr : &runs.back();
            const bool goesOn = slice.adapters.size() == 1 && last != nullptr &&
                                last->adapter == use.adapter && last->strength == use.strength &&
                                last->firstRow + last->rows == first;
            if (goesOn)
                last->rows += row - first;
            else if (use.strength != 0)
                runs.push_back({use.adapter, use.strength, first, row - first});
        }
    }
}

/// The rows of the step by how they are routed; neighbours with the same options make one run.
void listRouters(Running& m, const Step& step) {
    std::vector<RouterRows>& runs = m.buffers.routerRows;
    runs.clear();
    uint32_t row = 0;
    for (const Slice& slice : step.slices) {
        const auto rows = static_cast<uint32_t>(slice.tokens.size());
        static const RouterOptions asTrained;
        const RouterOptions& options = slice.router == nullptr ? asTrained : *slice.router;
        if (!runs.empty() && (runs.back().options == &options || *runs.back().options == options))
            runs.back().rows += rows;
        else
            runs.push_back({&options, row, rows, activeExperts(&options, m.config)});
        row += rows;
    }
}

StepOutcome runStep(Running& m, Step& step, platform::Team& team) {
    CONCLAVE_CHECK(team.size() <= m.buffers.threads);
    listRows(m, step);
    listAdapters(m, step);
    listRouters(m, step);
    CONCLAVE_CHECK(step.expertCap == 0 || step.expertCap >= 1);
    Pass pass{.config = m.config,
              .kernels = *m.kernels,
              .weights = m.weights,
              .activations = m.activations,
              .kvType = m.kvType,
              .buffers = m.buffers,
              .step = step,
              .launch = {&team, m.buffers.scratch, m.buffers.scratchBytes},
              .rows = static_cast<uint32_t>(m.buffers.tokens.size()),
              .adapters = m.buffers.adapterRows,
              .routers = m.buffers.routerRows};
    for (const RouterRows& run : pass.routers)
        pass.slots = std::max(pass.slots, run.active);
    step.logits.clear();
    if (pass.rows == 0) return StepOutcome::Done;
    const Timed timed(pass, &StepTimes::all);
    const uint64_t waited = team.waited();
    fillRope(m.frequencies, m.config.rope.attentionFactor, m.buffers.places, m.buffers.cosines,
             m.buffers.sines);
    const bool done = m.layers(pass);
    if (step.times != nullptr) step.times->waiting += team.waited() - waited;
    return done ? StepOutcome::Done : StepOutcome::Stopped;
}

// --- loading ---

Result<std::shared_ptr<const Model>> load(ModelConfig config, const TensorDirectory& tensors, Naming naming,
                                          LoadOptions options) {
    if (options.kernels == nullptr) {
        CONCLAVE_TRY(options.kernels, kernels::selectKernels(""));
    }
    // What the reference prefers is exact.
    if (options.activations == ActivationChoice::Preferred &&
        options.kernels->preferred(Format::Q8_0) == Activation::F32)
        options.activations = ActivationChoice::Exact;
    if (config.experts == 0) options.expertCap = 0;
    const Family& family = familyOf(config);
    const bool exact = options.activations == ActivationChoice::Exact;
    TensorList list(tensors, naming, family.names, exact ? absorbedExactly : absorbedForSpeed);
    Layers layers = family.build(config, list);

    residency::PlanOptions planning{config.scaleBlockRows, config.scaleBlockCols,
                                    [&](std::string_view name) { return isLeftOver(name, config, list); },
                                    [&](size_t index, Format format) {
                                        // A table that rows are only looked up in is never multiplied.
                                        const Role role = list.roles()[index];
                                        if (role == Role::Embedding && !config.tiedEmbeddings)
                                            return kernels::Layout::Plain;
                                        return options.kernels->layoutFor(
                                            format,
                                            roundingOf(options.activations, *options.kernels, role, format));
                                    }};
    CONCLAVE_TRY(const residency::Plan plan, residency::makePlan(tensors, list.requests(), planning));
    warnOfSkipped(plan, config);
    const auto report = [&](uint64_t done, uint64_t total) {
        if (options.progress) options.progress("read weights", done, total);
    };
    // One of its own: a serving engine's team is busy with other models.
    platform::Team team(options.threads > 0 ? options.threads : platform::defaultThreads());
    CONCLAVE_TRY(residency::Weights weights, residency::loadWeights(plan, tensors, team, report));

    std::vector<Activation> activations =
        roundingsOf(options.activations, *options.kernels, plan, list.roles(), config);
    const size_t threads = std::max<size_t>(platform::availableThreads(), kLeastThreads);
    CONCLAVE_TRY(Workspace buffers, Workspace::make(config, *options.kernels, options.maxRows, threads));

    auto model = std::make_shared<Model>();
    model->config = config;
    model->kv = {options.kv,
                 config.layers * kernels::kPagePositions * kvBytesPerPosition(config, options.kv)};
    model->numericsId = numericsIdOf(options);
    model->footprint = footprintOf(plan, list.roles(), activations, config);
    model->matrices = matrixTableOf(naming, family.names, list, plan);
    model->footprint.kvBytes = model->kv.pageBytes / kernels::kPagePositions;
    model->maxRows = options.maxRows;
    model->expertCap = options.expertCap;
    const std::vector<double> frequencies = inverseFrequencies(config.rope);
    const auto running = std::make_shared<Running>(
        Running{config, options.kernels, options.kv, std::move(weights), std::move(activations), frequencies,
                std::move(buffers), std::move(layers), options.maxRows});
    model->forward = [running](Step& step, platform::Team& team) { return runStep(*running, step, team); };
    return std::shared_ptr<const Model>(std::move(model));
}

}  // namespace

Result<std::shared_ptr<const Model>> loadModel(const formats::HfFolder& folder, const LoadOptions& options) {
    CONCLAVE_TRY(ModelConfig config, configFromHf(folder));
    return load(std::move(config), folder.tensors, Naming::HuggingFace, options);
}

Result<std::shared_ptr<const Model>> loadModel(const formats::GgufFile& file, const LoadOptions& options) {
    CONCLAVE_TRY(ModelConfig config, configFromGguf(file));
    return load(std::move(config), file.tensors(), Naming::Gguf, options);
}

}  // namespace conclave::engine::model
