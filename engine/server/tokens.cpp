// Text to token ids and back.
#include "engine/protocol/tokenize.h"
#include "engine/server/routes.h"

namespace conclave::engine::server {

using Model = std::shared_ptr<const library::LoadedModel>;

void tokenize(Context& context, const Request& request, const Reply& reply) {
    const auto read = protocol::readTokenizeRequest(request.body);
    if (!read.ok()) return reply.fail(read.error());
    withModel(context, read->model, reply, [wish = *read, reply](const Model& model) {
        const auto tokens = model->tokenizer->encode(
            wish.content, wish.parseSpecial, wish.addSpecial ? text::AddBos::IfWanted : text::AddBos::No);
        if (!tokens.ok()) return reply.fail(tokens.error());
        reply.ok(protocol::tokensBody(*tokens));
    });
}

void detokenize(Context& context, const Request& request, const Reply& reply) {
    const auto read = protocol::readDetokenizeRequest(request.body);
    if (!read.ok()) return reply.fail(read.error());
    withModel(context, read->model, reply, [wish = *read, reply](const Model& model) {
        const auto content = model->tokenizer->decode(wish.tokens, true);
        if (!content.ok()) return reply.fail(content.error());
        reply.ok(protocol::contentBody(*content));
    });
}

}  // namespace conclave::engine::server
