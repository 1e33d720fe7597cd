#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "engine/model/model.h"

namespace conclave::engine::model {

/// What products are rounded to. Exact is float32 everywhere and the default of `check`; Preferred asks the
/// kernels row for each format, and rounds less in small models (rounding.h).
enum class ActivationChoice : uint8_t { Exact, Preferred, BF16, Int8, Int8x2 };

/// "f32", "preferred", "bf16", "int8", "int8x2".
std::string_view nameOf(ActivationChoice choice);

struct LoadOptions {
    const kernels::Kernels* kernels = nullptr;  ///< null = the best row
    ActivationChoice activations = ActivationChoice::Exact;
    kernels::KvType kv = kernels::KvType::F32;
    uint32_t maxRows = 512;
    float expertCap = 0;  ///< see Step; 0 or at least 1; ignored by models without experts
    size_t threads = 0;   ///< that copy the weights; 0 = platform::defaultThreads()
    /// stage ("read weights"), bytes done, bytes in all; may be empty. Called on the loading thread.
    std::function<void(const std::string& stage, uint64_t done, uint64_t total)> progress;
};

/// A file or folder's weights, checked and copied into memory of our own, with its forward pass. The file may
/// be changed or removed afterwards. Errors name the tensor or key.
base::Result<std::shared_ptr<const Model>> loadModel(const formats::HfFolder& folder,
                                                     const LoadOptions& options);
base::Result<std::shared_ptr<const Model>> loadModel(const formats::GgufFile& file,
                                                     const LoadOptions& options);

}  // namespace conclave::engine::model
