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

}  // namespace

GgufTensor ggufTensor(const Family& family, Role role, const residency::Request& request) {
    GgufTensor out;
    out.layer = layerOf(family, request.tensors[0]);
    out.name = ggufName(family.names, role, out.layer);
    CONCLAVE_CHECK(!out.name.empty() && "every role of a Hugging Face model has a name in GGUF");
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
