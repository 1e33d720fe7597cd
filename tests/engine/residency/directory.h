#pragma once

#include <gtest/gtest.h>
#include <list>
#include <string>
#include <vector>

#include "engine/formats/tensor_directory.h"
#include "engine/residency/plan.h"

namespace conclave::engine::residency {

/// Tensors whose bytes the test owns.
struct Directory {
    formats::TensorDirectory tensors;
    std::list<std::vector<std::byte>> bytes;

    void add(const std::string& name, quant::Format format, std::vector<uint64_t> shape,
             std::vector<std::byte> data) {
        formats::TensorInfo tensor;
        tensor.name = name;
        tensor.format = format;
        tensor.shape = std::move(shape);
        tensor.bytes = bytes.emplace_back(std::move(data));
        tensor.file = "test.gguf";
        EXPECT_TRUE(tensors.add(tensor).ok());
    }
    void add(const std::string& name, std::vector<uint64_t> shape, const std::vector<float>& values) {
        const auto data = std::as_bytes(std::span(values));
        add(name, quant::Format::F32, std::move(shape), {data.begin(), data.end()});
    }
};

inline Request wanted(const std::string& name, std::vector<uint64_t> shape, uint32_t rows, uint32_t cols) {
    Request request;
    request.purpose = name;
    request.tensors = {name};
    request.shape = std::move(shape);
    request.rows = rows;
    request.cols = cols;
    return request;
}

}  // namespace conclave::engine::residency
