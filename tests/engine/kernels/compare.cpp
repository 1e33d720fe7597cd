#include "tests/engine/kernels/compare.h"

#include <functional>

#include "tests/engine/kernels/cases.h"

namespace conclave::engine::kernels {
namespace {

/// One operation on one input: run(row, launch) gives its output.
struct Case {
    std::string name;
    uint32_t rows = 0, widest = 0;
    std::function<std::vector<float>(const Kernels&, Launch&)> run;
};

using Cases = std::vector<Case>;

void addProducts(Cases& cases, Random& random) {
    for (const Format format : allFormats())
        for (const Activation activation : {Activation::F32, Activation::BF16, Activation::Int8}) {
            if (activation != Activation::F32 && appliedActivation(format, activation) == Activation::F32)
                continue;
            const uint32_t block = quant::info(format).blockValues;
            const uint32_t cols =
                block == 1 ? 100 + below(random, 700) : block * (1 + below(random, 1024 / block));
            const uint32_t outs = 1 + below(random, 150);
            auto w = std::make_shared<Weights>(random, format, outs, cols);
            for (const uint32_t rows : {1u, 2u, 5u, 66u, 131u}) {
                auto x = std::make_shared<Floats>(Floats::random(random, rows, cols, 2, below(random, 4)));
                const std::string name = std::string(quant::info(format).name) + " activation " +
                                         std::to_string(static_cast<int>(activation)) + " rows " +
                                         std::to_string(rows);
                cases.push_back(
                    {"matmul " + name, rows, std::max(cols, outs), [=](const Kernels& row, Launch& launch) {
                         Floats y(rows, outs);
                         const MatmulGroup group{.w = w->in(row, activation), .rows = rows, .y = y.view()};
                         row.matmul(launch, {&group, 1}, std::as_const(*x).view(), activation);
                         return y.values;
                     }});
            }
        }
}

void addAttention(Cases& cases, Random& random) {
    for (const KvType type : {KvType::F32, KvType::F16})
        for (const uint32_t window : {0u, 77u}) {
            const uint32_t positions = 530 + below(random, 60), heads = 6, kvHeads = 2,
                           dim = 16 + below(random, 50);
            auto q = std::make_shared<Floats>(Floats::random(random, positions, heads * dim));
            auto k = std::make_shared<Floats>(Floats::random(random, positions, kvHeads * dim));
            const size_t pageBytes = size_t{kvHeads} * kPagePositions * dim * 8;
            const auto memory = [=] { return std::vector<float>((positions + 63) / 64 * pageBytes / 4); };
            const auto places = [=](std::vector<float>& pages, std::vector<std::byte*>& pointers) {
                for (size_t at = 0; at < pages.size(); at += pageBytes / 4)
                    pointers.push_back(reinterpret_cast<std::byte*>(pages.data() + at));
                std::vector<RowPlace> all;
                for (uint32_t i = 0; i < positions; ++i)
                    all.push_back({i, pointers.data()});
                return all;
            };
            const std::string name =
                (type == KvType::F16 ? " f16 window " : " f32 window ") + std::to_string(window);
            cases.push_back(
                {"attend" + name, positions, heads * dim, [=](const Kernels& row, Launch& launch) {
                     Floats out(positions, heads * dim);
                     auto pages = memory();
                     std::vector<std::byte*> pointers;
                     const auto at = places(pages, pointers);
                     row.storeKv(launch, {k->view(), k->view(), at, {type, 0}, kvHeads, dim, dim});
                     row.attend(
                         launch,
                         {q->view(), at, {type, 0}, heads, kvHeads, dim, dim, 0.3f, window, out.view()});
                     return out.values;
                 }});
            const uint32_t rank = kvHeads * dim - 6;
            auto wide = std::make_shared<Floats>(Floats::random(random, positions, heads * kvHeads * dim));
            cases.push_back({"attendLatent" + name, positions, heads * kvHeads * dim,
                             [=](const Kernels& row, Launch& launch) {
                                 Floats out(positions, heads * rank);
                                 auto pages = memory();
                                 std::vector<std::byte*> pointers;
                                 const auto at = places(pages, pointers);
                                 row.storeLatent(launch, {k->view(), at, {type, 0}});
                                 row.attendLatent(
                                     launch, {wide->view(), at, {type, 0}, heads, rank, 6, 0.2f, out.view()});
                                 return out.values;
                             }});
        }
}

void addRows(Cases& cases, Random& random) {
    const uint32_t rows = 37, cols = 64 + below(random, 900);
    auto x = std::make_shared<Floats>(Floats::random(random, rows, cols, 20));
    auto y = std::make_shared<Floats>(Floats::random(random, rows, cols, 3));
    using Run = std::function<void(const Kernels&, Launch&, Floats&)>;
    const auto add = [&](const char* name, const Run& run) {
        cases.push_back({name, rows, cols, [=](const Kernels& row, Launch& launch) {
                             Floats out = *y;
                             run(row, launch, out);
                             return out.values;
                         }});
    };
    add("norm", [=](const Kernels& row, Launch& launch, Floats& out) {
        row.norm(launch, x->view(), y->row(3), 1e-6f, out.view());
    });
    add("gateUp", [=](const Kernels& row, Launch& launch, Floats& out) {
        row.gateUp(launch, x->view(), y->view(), out.view());
    });
    add("add",
        [=](const Kernels& row, Launch& launch, Floats& out) { row.add(launch, x->view(), out.view()); });
    add("addBias",
        [=](const Kernels& row, Launch& launch, Floats& out) { row.addBias(launch, x->row(2), out.view()); });
    add("clamp",
        [=](const Kernels& row, Launch& launch, Floats& out) { row.clamp(launch, 1.25f, out.view()); });
    for (const bool interleaved : {false, true})
        add("rope", [=](const Kernels& row, Launch& launch, Floats& out) {
            row.rope(launch,
                     {out.view(), 2, cols / 2, 3, (cols / 2 - 3) / 2 * 2, x->row(0), y->row(0), interleaved});
        });
    add("combine", [=](const Kernels& row, Launch& launch, Floats& out) {
        out.rows = 9;
        row.combine(launch, {x->view(), y->row(5), 4, y->view(), out.view()});
    });
    add("lowRank", [=](const Kernels& row, Launch& launch, Floats& out) {
        MatrixView a{.rows = 8,
                     .cols = cols,
                     .stride = cols * 4,
                     .data = reinterpret_cast<const std::byte*>(x->row(0))};
        MatrixView b{.rows = 8,
                     .cols = cols,
                     .stride = cols * 4,
                     .data = reinterpret_cast<const std::byte*>(y->row(0))};
        const LowRankGroup group{a, b, 0.5f, 0, rows, 0, 0};
        row.lowRank(launch, {&group, 1}, x->view(), out.view());
    });
}

void addRouting(Cases& cases, Random& random) {
    const uint32_t rows = 50, experts = 64;
    auto logits = std::make_shared<Floats>(Floats::random(random, rows, experts, 5));
    for (const auto scores : {RouteRule::Scores::Softmax, RouteRule::Scores::Sigmoid})
        cases.push_back({"route", rows, experts, [=](const Kernels& row, Launch& launch) {
                             const RouteRule rule{.scores = scores,
                                                  .experts = experts,
                                                  .chosen = 6,
                                                  .groups = 8,
                                                  .chosenGroups = 3,
                                                  .normalise = true,
                                                  .scale = 1.5f,
                                                  .bias = logits->row(0)};
                             std::vector<int32_t> chosen(rows * 6);
                             std::vector<float> out(rows * (6 + experts));
                             row.route(launch, {logits->view(), rule, nullptr, chosen.data(), out.data(),
                                                out.data() + rows * 6});
                             out.insert(out.end(), chosen.begin(), chosen.end());
                             return out;
                         }});
    cases.push_back({"steered route", rows, experts, [=](const Kernels& row, Launch& launch) {
                         const RouteRule rule{.experts = experts,
                                              .chosen = 6,
                                              .normalise = true,
                                              .temperature = 0.7f,
                                              .logitBias = logits->row(1),
                                              .floor = 0.2f};
                         std::vector<int32_t> chosen(rows * 8);
                         std::vector<float> out(rows * (8 + experts));
                         row.route(launch, {logits->view(), rule, nullptr, chosen.data(), out.data(), nullptr,
                                            out.data() + rows * 8, 8});
                         out.insert(out.end(), chosen.begin(), chosen.end());
                         return out;
                     }});
}

}  // namespace

std::string compareWithReference(const Kernels& row, const Kernels& reference, uint32_t seed) {
    if (row.family != reference.family)
        return "families differ: only rows of one family promise the same bits";
    Random random(seed);
    Cases cases;
    addProducts(cases, random);
    addAttention(cases, random);
    addRows(cases, random);
    addRouting(cases, random);
    for (const Case& one : cases) {
        Workplace first(row, 2, one.rows, one.widest), second(reference, 1, one.rows, one.widest);
        const auto got = one.run(row, first.launch()), want = one.run(reference, second.launch());
        if (const size_t different = differentBits(got.data(), want.data(), want.size()); different > 0)
            return one.name + ": " + std::to_string(different) + " of " + std::to_string(want.size()) +
                   " values differ";
    }
    return "";
}

}  // namespace conclave::engine::kernels
