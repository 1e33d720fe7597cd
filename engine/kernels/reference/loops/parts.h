#pragma once

#include "engine/kernels/reference/loops.h"

#ifndef CONCLAVE_LOOPS
#error "CMake compiles this folder once for each instruction set and names it in CONCLAVE_LOOPS"
#endif

/// The functions of one compiled copy of the loops; what they do stands at the members of Loops.
namespace conclave::engine::kernels::reference::CONCLAVE_LOOPS {

void decode(quant::Format format, const std::byte* in, size_t values, float* out);
void multiply(const float* w, size_t wStride, size_t wRows, const float* x, size_t xStride, size_t xRows,
              size_t cols, float* y, size_t yStride);
void multiplyNarrow(quant::Format format, const std::byte* w, size_t wStride, size_t wRows, const float* x,
                    size_t xStride, size_t xRows, size_t cols, float* y, size_t yStride);
void toHalves(const float* x, size_t count, std::byte* out);
void toBfloat16s(const float* x, size_t count, std::byte* out);
void multiplyBfloat16s(const std::byte* w, size_t wStride, size_t wRows, const std::byte* x, size_t xStride,
                       size_t xRows, size_t cols, float* y, size_t yStride);
void quantise(const float* x, size_t cols, Int8Row out, float* rest);
UnpackedShape shapeOf(quant::Format format);
void unpack(quant::Format format, const std::byte* in, size_t cols, UnpackedRow out);
float multiplyInt8(UnpackedShape shape, UnpackedRow w, Int8Row x, size_t cols);
void attend(const AttendUnit& unit);
void attendSpan(const AttendUnit& unit, SpanSums sums);
void joinSpans(SpanSums total, SpanSums span, size_t heads, size_t valueDim);
void endSpans(SpanSums total, size_t heads, size_t valueDim, float* out, size_t outStride);
void norm(const float* x, const float* weight, float eps, size_t cols, float* y);
void rope(float* x, size_t dim, const float* cosines, const float* sines, bool interleaved);
void gateUp(const float* gate, const float* up, size_t count, float* y);
void softmax(const float* x, size_t count, float* out);
void sigmoidAll(const float* x, size_t count, float* out);
void addLowRank(const float* t, size_t rank, const float* b, size_t bStride, size_t count, float scale,
                float* y);
void addScaled(float factor, const float* x, size_t count, float* y);

extern const Loops table;

}  // namespace conclave::engine::kernels::reference::CONCLAVE_LOOPS
