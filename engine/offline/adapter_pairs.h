#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/kernels/kernels.h"
#include "engine/model/adapter.h"
#include "engine/model/names.h"
#include "engine/offline/adapter_base.h"
#include "engine/quant/format.h"

namespace conclave::engine::offline {

/// A pair of factors of one matrix as files have it: A [rank][inputs], B [outputs][rank], each of one format.
/// Its values lie in the adapter that it was made from, which must outlive it.
struct AdapterFactors {
    model::Role role = model::Role::Query;
    uint32_t layer = 0;
    uint32_t part = 0, parts = 1;  ///< which of the experts or heads behind the role, and how many there are
    uint32_t rank = 0, inputs = 0, outputs = 0;
    float scale = 1;
    quant::Format format = quant::Format::F32;  ///< that both are kept in

    std::vector<float> a() const;
    std::vector<float> b() const;

    /// A run of B's rows, [rank][rows] in memory; zeros where there is no data.
    struct Rows {
        kernels::MatrixView view;
        uint32_t rows = 0;
    };
    kernels::MatrixView aView;
    std::vector<Rows> bViews;     ///< one below the other
    std::vector<uint32_t> order;  ///< row o of B is row order[o] of bViews; empty = in order
};

/// How the file that is written has what both kinds of file may have differently.
struct AdapterForm {
    bool rowsInPairs = false;  ///< Q and K: rotated neighbours, else the halves of a head
    bool wholeKvB = false;     ///< kv_b as one matrix, else as its two halves
};

/// Every pair of an adapter that was loaded for `base`, by role and layer as the model declares them. `file`
/// stands in messages. Errors: UnsupportedOption where kv_b is wanted whole and its heads have A's of their
/// own.
base::Result<std::vector<AdapterFactors>> factorsOf(const model::Adapter& adapter, const AdapterBase& base,
                                                    const AdapterForm& form, const std::string& file);

}  // namespace conclave::engine::offline
