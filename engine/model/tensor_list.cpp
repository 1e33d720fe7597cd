#include "engine/model/tensor_list.h"

#include <utility>

namespace conclave::engine::model {

using quant::Format;
using residency::Keep;
using residency::Request;

namespace {

/// "blk.3.attn_q.weight" says best which tensor it is: the purpose is the name in the file, without its
/// ending.
std::string purposeOf(const std::string& name, const char* what) {
    const std::string stem = name.ends_with(".weight") ? name.substr(0, name.size() - 7) : name;
    return stem + (*what != 0 ? std::string(" ") + what : "");
}

/// A block format or BF16 where it divides a row, else float32.
Format fitting(Format format, uint32_t cols) {
    return quant::rowBytes(format, cols) > 0 ? format : Format::F32;
}

}  // namespace

std::string_view TensorList::pattern(Role role, uint32_t layer) const {
    std::string_view first;
    for (const NameRow& row : names_) {
        const std::string_view pattern = naming_ == Naming::HuggingFace ? row.huggingFace : row.gguf;
        if (row.role != role || pattern.empty()) continue;
        if (tensors_.find(fillName(pattern, layer)) != nullptr) return pattern;
        if (first.empty()) first = pattern;
    }
    return first;
}

bool TensorList::has(Role role, uint32_t layer) const {
    const std::string_view name = pattern(role, layer);
    return !name.empty() && tensors_.find(fillName(name, layer)) != nullptr;
}

Format TensorList::storedFormat(const std::string& name) const {
    const formats::TensorInfo* tensor = tensors_.find(name);
    return tensor == nullptr ? Format::F32 : tensor->format;
}

uint32_t TensorList::add(Role role, uint32_t layer, Request request) {
    layers_.push_back(layer);
    roles_.push_back(role);
    requests_.push_back(std::move(request));
    return static_cast<uint32_t>(requests_.size() - 1);
}

MatrixId TensorList::matrix(Role role, uint32_t layer, uint32_t rows, uint32_t cols) {
    Request request;
    request.tensors = {fillName(pattern(role, layer), layer)};
    request.purpose = purposeOf(request.tensors[0], "");
    request.shape = {rows, cols};
    request.rows = rows;
    request.cols = cols;
    return MatrixId{add(role, layer, std::move(request))};
}

MatrixId TensorList::experts(Role role, uint32_t layer, uint32_t count, uint32_t rows, uint32_t cols) {
    const std::string_view name = pattern(role, layer);
    Request request;
    request.matrices = count;
    request.rows = rows;
    request.cols = cols;
    if (name.find("{expert}") == std::string_view::npos) {
        request.tensors = {fillName(name, layer)};
        request.shape = {count, rows, cols};
    } else {
        request.shape = {rows, cols};
        for (uint32_t expert = 0; expert < count; ++expert)
            request.tensors.push_back(fillName(name, layer, expert));
    }
    request.purpose = purposeOf(request.tensors[0], "");
    return MatrixId{add(role, layer, std::move(request))};
}

VectorId TensorList::vector(Role role, uint32_t layer, uint32_t size) {
    Request request;
    request.tensors = {fillName(pattern(role, layer), layer)};
    request.purpose = purposeOf(request.tensors[0], "");
    request.shape = {size};
    request.rows = 1;
    request.cols = size;
    request.keep = Keep::Converted;
    return VectorId{add(role, layer, std::move(request))};
}

VectorId TensorList::optionalVector(Role role, uint32_t layer, uint32_t size, bool required) {
    return required || has(role, layer) ? vector(role, layer, size) : VectorId::None;
}

MatrixId TensorList::headMatrices(Role role, uint32_t layer, uint32_t heads, uint32_t rows, uint32_t cols) {
    Request request;
    request.tensors = {fillName(pattern(role, layer), layer)};
    request.purpose = purposeOf(request.tensors[0], "");
    request.shape = {heads, rows, cols};
    request.matrices = heads;
    request.rows = rows;
    request.cols = cols;
    request.keep = Keep::Converted;
    request.target = fitting(absorbed_(storedFormat(request.tensors[0])), cols);
    return MatrixId{add(role, layer, std::move(request))};
}

TensorList::Halves TensorList::latentHalves(uint32_t layer, uint32_t heads, uint32_t nope, uint32_t value,
                                            uint32_t rank) {
    if (has(Role::LatentKey, layer) || has(Role::LatentValue, layer))
        return {headMatrices(Role::LatentKey, layer, heads, rank, nope),
                headMatrices(Role::LatentValue, layer, heads, value, rank)};
    Request key;
    key.tensors = {fillName(pattern(Role::LatentB, layer), layer)};
    key.shape = {uint64_t{heads} * (nope + value), rank};
    key.matrices = heads;
    key.cols = rank;
    key.rows = key.period = nope + value;
    const Format kept = absorbed_(storedFormat(key.tensors[0]));

    Request values = key;
    key.purpose = purposeOf(key.tensors[0], "key half");
    key.keep = Keep::TransposedSlices;
    key.target = fitting(kept, nope);
    key.count = nope;

    values.purpose = purposeOf(values.tensors[0], "value half");
    values.keep = Keep::Slices;
    values.target = fitting(kept, rank);
    values.first = nope;
    values.count = value;
    return {MatrixId{add(Role::LatentKey, layer, std::move(key))},
            MatrixId{add(Role::LatentValue, layer, std::move(values))}};
}

}  // namespace conclave::engine::model
