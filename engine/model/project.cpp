#include "engine/model/project.h"

#include <algorithm>

#include "engine/model/pass.h"

namespace conclave::engine::model {
namespace {

/// The rows of `part` that lie in `group`, as [first, last) rows of x. Rows of the step ascend inside a part,
/// so that a run of the step is a run of the part.
std::pair<uint32_t, uint32_t> rowsIn(const Part& part, const AdapterRows& group) {
    const uint32_t end = group.firstRow + group.rows;
    if (part.stepRows == nullptr) {
        const uint32_t first = std::max(part.firstRow, group.firstRow),
                       last = std::min(part.firstRow + part.rows, end);
        return {first, std::max(first, last)};
    }
    const uint32_t* begin = part.stepRows + part.firstRow;
    const auto at = [&](uint32_t row) {
        return static_cast<uint32_t>(std::lower_bound(begin, begin + part.rows, row) - part.stepRows);
    };
    return {at(group.firstRow), at(end)};
}

/// What `group` adds to `part`, where it does.
void listAdapter(Pass& pass, const AdapterRows& group, const Part& part, MatrixId id) {
    const LowRank* factors = group.adapter->find(id, part.matrix);
    if (factors == nullptr) return;
    const auto [first, last] = rowsIn(part, group);
    if (first == last) return;
    pass.buffers.lowRankGroups.push_back({.a = factors->a,
                                          .b = factors->b,
                                          .scale = factors->scale * group.strength,
                                          .firstRow = first,
                                          .rows = last - first,
                                          .xColumn = part.xColumn,
                                          .yColumn = part.yColumn});
}

kernels::MatrixView matrixOf(const Pass& pass, MatrixId id, uint32_t matrix) {
    CONCLAVE_CHECK(id != MatrixId::None);
    return pass.weights.matrix(static_cast<size_t>(id), matrix);
}

kernels::Activation activationOf(const Pass& pass, MatrixId id) {
    return pass.activations[static_cast<size_t>(id)];
}

bool shareLaunch(const Pass& pass, MatrixId first, MatrixId second) {
    const kernels::MatrixView a = matrixOf(pass, first, 0), b = matrixOf(pass, second, 0);
    return a.format == b.format && a.layout == b.layout &&
           activationOf(pass, first) == activationOf(pass, second);
}

/// Projections of one format: part by part, so that those of the same rows of x stand together.
void multiply(Pass& pass, std::span<const Part> parts, std::span<const Projection> projections,
              kernels::ConstRows x) {
    std::vector<kernels::MatmulGroup>& groups = pass.buffers.groups;
    groups.clear();
    for (const Part& part : parts)
        for (const auto& [id, y] : projections) {
            const kernels::MatrixView w = matrixOf(pass, id, part.matrix);
            CONCLAVE_CHECK(part.firstRow + part.rows <= x.rows && part.firstRow + part.rows <= y.rows);
            CONCLAVE_CHECK(part.xColumn + w.cols <= x.cols && part.yColumn + w.rows <= y.cols);
            groups.push_back({.w = w,
                              .firstRow = part.firstRow,
                              .rows = part.rows,
                              .xColumn = part.xColumn,
                              .yColumn = part.yColumn,
                              .y = y});
        }
    pass.kernels.matmul(pass.launch, groups, x, activationOf(pass, projections.front().id));
}

void addAdapters(Pass& pass, std::span<const Part> parts, const Projection& projection,
                 kernels::ConstRows x) {
    pass.buffers.lowRankGroups.clear();
    for (const AdapterRows& group : pass.adapters)
        for (const Part& part : parts)
            listAdapter(pass, group, part, projection.id);
    if (!pass.buffers.lowRankGroups.empty())
        pass.kernels.lowRank(pass.launch, pass.buffers.lowRankGroups, x, projection.y);
}

}  // namespace

void project(Pass& pass, std::span<const Part> parts, std::initializer_list<Projection> projections,
             kernels::ConstRows x) {
    const std::span<const Projection> all(projections.begin(), projections.size());
    for (size_t begin = 0, end = 1; begin < all.size(); begin = end++) {
        while (end < all.size() && shareLaunch(pass, all[begin].id, all[end].id))
            ++end;
        multiply(pass, parts, all.subspan(begin, end - begin), x);
    }
    if (pass.adapters.empty()) return;
    for (const Projection& projection : all)
        addAdapters(pass, parts, projection, x);
}

void project(Pass& pass, std::initializer_list<Projection> projections, kernels::ConstRows x) {
    const Part whole{.rows = x.rows};
    project(pass, {&whole, 1}, projections, x);
}

}  // namespace conclave::engine::model
