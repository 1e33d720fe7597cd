#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "engine/base/ids.h"
#include "engine/base/result.h"
#include "engine/platform/team.h"
#include "engine/quant/format.h"

/// The operations of a forward pass as a table of functions over plain views. One table is one row;
/// `reference` is plain C++ and the oracle of every other. Kernels never allocate and never fail: shapes are
/// checked before they are called. What fixes their bits stands in numerics.md beside this file; in short: no
/// operation mixes rows, the order of every reduction depends on shape and format alone, threads split
/// outputs and never the reduced dimension.
namespace conclave::engine::kernels {

/// Version of the rules in numerics.md; a change that alters a bit raises it. Part of every numerics id.
inline constexpr uint32_t kNumericsVersion = 2;

/// How the bytes of a matrix are ordered; every layout gives the same bits.
enum class Layout : uint8_t {
    Plain,      ///< row after row, each a run of blocks, as in the file
    Stripes16,  ///< sixteen rows side by side (cpu/stripes.h)
};
enum class Device : uint8_t { Cpu };

/// A weight matrix [rows][cols] somewhere in memory; does not own it.
struct MatrixView {
    quant::Format format = quant::Format::F32;
    Layout layout = Layout::Plain;
    Device device = Device::Cpu;
    uint32_t rows = 0;  ///< outputs
    uint32_t cols = 0;  ///< the reduced dimension
    size_t stride = 0;  ///< bytes from row to row, or from stripe to stripe
    const std::byte* data = nullptr;
    /// F8E4M3 only: scale of value (r, c) is scales[(r / scaleRows) * scaleStride + c / scaleCols]; float32.
    const float* scales = nullptr;
    uint32_t scaleRows = 0, scaleCols = 0, scaleStride = 0;
};

/// float32 activations [rows][cols], `stride` floats from row to row.
struct Rows {
    float* data = nullptr;
    uint32_t rows = 0, cols = 0;
    size_t stride = 0;
    float* row(size_t r) const { return data + r * stride; }
};
struct ConstRows {
    const float* data = nullptr;
    uint32_t rows = 0, cols = 0;
    size_t stride = 0;
    ConstRows() = default;
    ConstRows(const float* d, uint32_t r, uint32_t c, size_t s) : data(d), rows(r), cols(c), stride(s) {}
    ConstRows(const Rows& r) : data(r.data), rows(r.rows), cols(r.cols), stride(r.stride) {}
    const float* row(size_t r) const { return data + r * stride; }
};

/// What the activations are rounded to before a product.
enum class Activation : uint8_t {
    F32,     ///< not at all
    BF16,    ///< to bfloat16, nearest even; products exact in float32, in pairs; weights in BF16 only
    Int8,    ///< one float32 scale per 32 values, q = round(x * (127 / max|x|)), ties to even; block formats
             ///< only
    Int8x2,  ///< that, and what is left of each value rounded the same way: about sixteen bits at the price
             ///< of two rows
};
inline constexpr size_t kActivations = 4;

/// What a matrix of `format` is really multiplied with when `asked` is wanted: `asked` where the format has
/// that form, F32 elsewhere. matmul does this itself; plans and numerics ids print it.
Activation appliedActivation(quant::Format format, Activation asked);

enum class KvType : uint8_t { F32, F16 };

/// Where an operation runs: on the host's team, with scratch of the size that Kernels::scratchBytes asked
/// for.
struct Launch {
    platform::Team* team = nullptr;
    std::byte* scratch = nullptr;
    size_t scratchBytes = 0;
};

/// One product of a grouped launch: y[r][yColumn + o] = sum over k of x[r][xColumn + k] * w[o][k] for the
/// rows firstRow … firstRow + rows - 1 of x and y. A dense matrix is one group, gate and up of a layer two,
/// experts one each (rows sorted by expert), the absorbed halves of MLA one per head (columns instead of
/// rows).
struct MatmulGroup {
    MatrixView w;
    uint32_t firstRow = 0, rows = 0;
    uint32_t xColumn = 0, yColumn = 0;
    Rows y;
};

/// One row of a step: its absolute position, and the pages of its sequence (page p holds positions 64p … 64p
/// + 63 of all layers; the row's own position is already stored when attention runs).
struct RowPlace {
    uint32_t position = 0;
    std::byte* const* pages = nullptr;
};
inline constexpr uint32_t kPagePositions = 64;

/// Where one layer lies inside a page.
/// GQA: at layerOffset K as [kvHead][64][keyDim], at once behind it V as [kvHead][64][valueDim].
/// MLA: at layerOffset the latents as [64][rank + rope].
struct KvPlace {
    KvType type = KvType::F32;
    size_t layerOffset = 0;
};

struct RopeArgs {
    Rows x;  ///< [rows][heads * headDim], rotated in place
    uint32_t heads = 0, headDim = 0;
    uint32_t offset = 0, dim = 0;    ///< the rotated part of each head
    const float* cosines = nullptr;  ///< [rows][dim / 2], the YaRN factor already in
    const float* sines = nullptr;
    bool interleaved = false;  ///< pairs (0,1) (2,3) … instead of (0, dim/2) (1, dim/2 + 1) …
};

struct StoreKvArgs {  ///< GQA
    ConstRows k, v;   ///< [rows][kvHeads * keyDim], [rows][kvHeads * valueDim]
    std::span<const RowPlace> places;
    KvPlace kv;
    uint32_t kvHeads = 0, keyDim = 0, valueDim = 0;
};

struct AttendArgs {  ///< GQA, causal; online softmax over keys ascending, spans of 512 merged ascending
    ConstRows q;     ///< [rows][heads * keyDim]
    std::span<const RowPlace> places;
    KvPlace kv;
    uint32_t heads = 0, kvHeads = 0, keyDim = 0, valueDim = 0;
    float scale = 0;
    uint32_t window = 0;  ///< sliding window: a row sees only keys with position > own - window; 0 = all
    Rows out;             ///< [rows][heads * valueDim]
};

struct StoreLatentArgs {  ///< MLA
    ConstRows latent;     ///< [rows][rank + rope]: normed latent, rotated key
    std::span<const RowPlace> places;
    KvPlace kv;
};

struct AttendLatentArgs {  ///< MLA in the absorbed form: all heads share one key and value
    ConstRows q;           ///< [rows][heads * (rank + rope)]
    std::span<const RowPlace> places;
    KvPlace kv;
    uint32_t heads = 0, rank = 0, rope = 0;
    float scale = 0;
    Rows out;  ///< [rows][heads * rank]
};

/// How a router chooses. Sources: DeepSeek-V2 (arXiv 2405.04434, 2.2), DeepSeek-V3 (arXiv 2412.19437, 2.1.2),
/// and the modelling code of Mixtral, Qwen3-MoE and OLMoE in transformers.
struct RouteRule {
    enum class Scores : uint8_t { Softmax, Sigmoid } scores = Scores::Softmax;
    enum class GroupScore : uint8_t { Best, SumOfBestTwo } groupScore = GroupScore::Best;
    uint32_t experts = 0, chosen = 0;
    uint32_t groups = 1, chosenGroups = 1;  ///< left-out groups are -infinity
    bool normalise = false;                 ///< divide the weights by their sum (+1e-20 with sigmoid)
    float scale = 1;                        ///< then multiply
    const float* bias = nullptr;            ///< [experts], added to the scores for choosing only; may be null

    // Steering: what follows is not part of a model.
    float temperature = 1;             ///< logits are divided by it before they become scores
    const float* logitBias = nullptr;  ///< [experts], added to the logits before; -infinity: never chosen
    float floor = 0;                   ///< chosen experts below this share of the best one are left out
};

struct RouteArgs {
    ConstRows logits;  ///< [rows][experts]
    RouteRule rule;
    /// [rows][slots] experts to take instead of choosing, whatever the floor; -1 = none, in a row's first =
    /// choose.
    const int32_t* forced = nullptr;
    int32_t* experts = nullptr;  ///< [rows][slots], by falling choice score, ties to the lower index; then -1
    float* weights = nullptr;    ///< [rows][slots]; 0 where there is no expert
    float* scores = nullptr;     ///< [rows][experts], before bias; may be null
    float* choice = nullptr;     ///< [rows][experts], choice scores of rows that choose, -infinity where an
                                 ///< expert could not be chosen; may be null
    uint32_t slots = 0;          ///< from row to row; at least rule.chosen; 0 = rule.chosen
};

/// y[r] = sum over slots ascending of weights[r][slot] * parts[r * slots + slot], then + shared[r] where
/// given.
struct CombineArgs {
    ConstRows parts;  ///< [rows * slots][cols]
    const float* weights = nullptr;
    uint32_t slots = 0;
    ConstRows shared;  ///< [rows][cols], or data == nullptr
    Rows y;
    const int32_t* experts = nullptr;  ///< [rows][slots]; slots with -1 are passed over; null = none has
};

/// y[r] += scale * B (A x[r]) for a run of rows: an adapter's place in a projection.
struct LowRankGroup {
    MatrixView a, b;  ///< A [rank][inputs]; B transposed, [rank][outputs]; float formats, plain
    float scale = 1;
    uint32_t firstRow = 0, rows = 0;
    uint32_t xColumn = 0, yColumn = 0;
};

/// What scratch has to reach for.
struct ScratchShape {
    uint32_t rows = 0;     ///< of activations in one operation
    uint32_t widest = 0;   ///< most values in a row of any argument (activations, logits, rank of an adapter)
    uint32_t deepest = 0;  ///< most values in a row of weights: the reduced dimension
    size_t threads = 1;    ///< workers
};

struct Kernels {
    std::string_view name;    ///< "reference"
    std::string_view family;  ///< rows of one family give the same bits; goes into the numerics id
    std::string_view needs;   ///< what the processor must have, for messages; empty = nothing
    bool (*supported)();
    /// What activations a matrix of this format is multiplied with when the user does not say.
    Activation (*preferred)(quant::Format format);
    /// The layout in which a matrix of this format is multiplied fastest with such activations.
    Layout (*layoutFor)(quant::Format format, Activation activation);
    /// Upper bound of the scratch one operation needs. The scratch given to a launch is 64-byte aligned and
    /// not shared with another launch that runs at the same time.
    size_t (*scratchBytes)(const ScratchShape& shape);

    void (*embed)(Launch& launch, const MatrixView& table, std::span<const base::TokenId> ids, Rows out);
    /// RMS norm of each row: y = x / sqrt(mean(x²) + eps) * weight. x and y may be the same.
    void (*norm)(Launch& launch, ConstRows x, const float* weight, float eps, Rows y);
    void (*rope)(Launch& launch, const RopeArgs& args);
    /// The products of all groups, whose matrices share a format and a layout; each y is written, not added
    /// to. No two groups write the same values, and no y overlaps x. Rows of x that neighbouring groups share
    /// (same firstRow, rows, xColumn and cols) are rounded once; rounded rows fill at most
    /// ScratchShape::rows.
    void (*matmul)(Launch& launch, std::span<const MatmulGroup> groups, ConstRows x, Activation activation);
    void (*addBias)(Launch& launch, const float* bias, Rows y);
    void (*add)(Launch& launch, ConstRows x, Rows y);                      ///< y += x
    void (*gateUp)(Launch& launch, ConstRows gate, ConstRows up, Rows y);  ///< y = silu(gate) * up
    void (*clamp)(Launch& launch, float limit, Rows y);  ///< to [-limit, limit] (OLMo's clip_qkv)
    void (*storeKv)(Launch& launch, const StoreKvArgs& args);
    void (*attend)(Launch& launch, const AttendArgs& args);
    void (*storeLatent)(Launch& launch, const StoreLatentArgs& args);
    void (*attendLatent)(Launch& launch, const AttendLatentArgs& args);
    void (*route)(Launch& launch, const RouteArgs& args);
    /// to[i] = from[rows[i]]: rows sorted by expert before a grouped product.
    void (*gather)(Launch& launch, ConstRows from, std::span<const uint32_t> rows, Rows to);
    /// to[rows[i]] = from[i]: back to (row, slot) order.
    void (*scatter)(Launch& launch, ConstRows from, std::span<const uint32_t> rows, Rows to);
    void (*combine)(Launch& launch, const CombineArgs& args);
    /// Groups that write the same values add in their order; y overlaps no x.
    void (*lowRank)(Launch& launch, std::span<const LowRankGroup> groups, ConstRows x, Rows y);
};

/// Every row that was built, best first; `reference` is always the last.
std::span<const Kernels* const> allKernels();

/// The row of that name, or the best that this processor supports when `name` is empty.
/// Errors: UnknownKernels, KernelsUnsupported.
base::Result<const Kernels*> selectKernels(std::string_view name);

}  // namespace conclave::engine::kernels
