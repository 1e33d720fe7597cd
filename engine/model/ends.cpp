#include "engine/model/ends.h"

namespace conclave::engine::model {

Ends declareEnds(TensorList& tensors, const ModelConfig& c) {
    Ends ends;
    ends.embedding = tensors.matrix(Role::Embedding, 0, c.vocabulary, c.hidden);
    ends.finalNorm = tensors.vector(Role::FinalNorm, 0, c.hidden);
    ends.head = c.tiedEmbeddings ? ends.embedding : tensors.matrix(Role::Head, 0, c.vocabulary, c.hidden);
    return ends;
}

void embed(Pass& pass, const Ends& ends) {
    pass.kernels.embed(pass.launch, pass.weights.matrix(static_cast<size_t>(ends.embedding)),
                       pass.buffers.tokens, pass.view(pass.buffers.x, pass.config.hidden));
}

void writeLogits(Pass& pass, const Ends& ends) {
    const Timed timed(pass, &StepTimes::head);
    Workspace& b = pass.buffers;
    const uint32_t hidden = pass.config.hidden, vocabulary = pass.config.vocabulary;
    uint32_t asked = 0, row = 0;
    for (const Slice& slice : pass.step.slices) {
        const uint32_t end = row + static_cast<uint32_t>(slice.tokens.size());
        if (slice.logits == Slice::Logits::Last && end > row)
            b.asked[asked++] = end - 1;
        else if (slice.logits == Slice::Logits::All)
            for (uint32_t r = row; r < end; ++r)
                b.asked[asked++] = r;
        row = end;
    }
    pass.step.logits.resize(size_t{asked} * vocabulary);
    if (asked == 0) return;
    const kernels::Rows rows{b.y, asked, hidden, hidden}, normed{b.h, asked, hidden, hidden};
    pass.kernels.gather(pass.launch, pass.view(b.x, hidden), {b.asked, asked}, rows);
    pass.norm(rows, ends.finalNorm, normed);
    const Part part{.rows = asked, .stepRows = b.asked};
    project(pass, {&part, 1}, {{ends.head, {pass.step.logits.data(), asked, vocabulary, vocabulary}}},
            normed);
}

}  // namespace conclave::engine::model
