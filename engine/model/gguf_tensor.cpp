#include "engine/model/gguf_tensor.h"

namespace conclave::engine::model {
namespace {

using residency::Keep;

bool isStack(Role role) {
    return role == Role::ExpertGate || role == Role::ExpertUp || role == Role::ExpertDown ||
           role == Role::LatentKey || role == Role::LatentValue;
}

uint32_t layerOf(const Family& family, const std::string& name) {
    for (const NameRow& row : family.names)
        if (!row.huggingFace.empty())
            if (const auto numbers = matchName(row.huggingFace, name)) return numbers->layer;
    return 0;
}

std::string nameOf(const Family& family, Role role, uint32_t layer) {
    for (const NameRow& row : family.names)
        if (row.role == role && !row.gguf.empty()) return fillName(row.gguf, layer);
    CONCLAVE_CHECK(false && "every role of a Hugging Face model has a name in GGUF");
    return {};
}

}  // namespace

GgufTensor ggufTensor(const Family& family, Role role, const residency::Request& request) {
    GgufTensor out;
    out.layer = layerOf(family, request.tensors[0]);
    out.name = nameOf(family, role, out.layer);
    const bool transposed = request.keep == Keep::TransposedSlices;
    const uint64_t rows = transposed                     ? request.cols
                          : request.keep == Keep::Slices ? request.count
                                                         : request.rows;
    if (isStack(role)) out.shape.push_back(request.matrices);
    if (request.shape.size() > 1) out.shape.push_back(rows);
    out.shape.push_back(transposed ? request.count : request.cols);
    return out;
}

}  // namespace conclave::engine::model
