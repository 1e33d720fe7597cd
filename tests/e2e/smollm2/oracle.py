#!/usr/bin/env python3
"""Golden files of SmolLM2 from transformers: python3 oracle.py MODEL.gguf PROMPTS.json CONCLAVE OUT_DIR

PROMPTS.json is a list of texts. Their ids come from `CONCLAVE tokenize` and must be those of the `tokenizers` package.
The GGUF's weights are dequantised to float32 by the `gguf` package and run by transformers' own LlamaForCausalLM; the
results are written as `conclave check` reads them.
"""
import json
import os
import subprocess
import sys

import torch
from gguf import GGUFReader, dequantize
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM

GREEDY = 16

LAYER = {"attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm", "attn_q": "self_attn.q_proj",
         "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj",
         "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj"}
FIXED = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}


def number(reader, key):
    field = reader.fields[key]
    return field.parts[field.data[0]][0].item()


def half_split(weight, heads):
    """GGUF's llama stores the rows of q and k for rotation of neighbours; transformers rotates halves."""
    rows, cols = weight.shape
    return weight.view(heads, rows // heads // 2, 2, cols).transpose(1, 2).reshape(rows, cols)


def load(path):
    reader = GGUFReader(path)
    key = lambda name: number(reader, "llama." + name)
    heads, kv_heads = key("attention.head_count"), key("attention.head_count_kv")
    names = {t.name for t in reader.tensors}
    config = LlamaConfig(vocab_size=key("vocab_size"), hidden_size=key("embedding_length"),
                         intermediate_size=key("feed_forward_length"), num_hidden_layers=key("block_count"),
                         num_attention_heads=heads, num_key_value_heads=kv_heads,
                         max_position_embeddings=key("context_length"), rope_theta=key("rope.freq_base"),
                         rms_norm_eps=key("attention.layer_norm_rms_epsilon"),
                         tie_word_embeddings="output.weight" not in names, attn_implementation="eager")
    state = {}
    for tensor in reader.tensors:
        weight = torch.from_numpy(dequantize(tensor.data, tensor.tensor_type).copy())
        stem, leaf = tensor.name.rsplit(".", 1)
        if stem in FIXED:
            state[f"{FIXED[stem]}.{leaf}"] = weight
            continue
        _, layer, role = stem.split(".", 2)
        if role in ("attn_q", "attn_k"):
            weight = half_split(weight, heads if role == "attn_q" else kv_heads)
        state[f"model.layers.{layer}.{LAYER[role]}.{leaf}"] = weight
    if config.tie_word_embeddings:
        state["lm_head.weight"] = state["model.embed_tokens.weight"]
    model = LlamaForCausalLM(config).float().eval()
    model.load_state_dict(state, strict=True)
    return model


def tokenizer(path):
    """SmolLM2's own: every digit alone, then GPT-2's byte-level splits and merges."""
    fields = GGUFReader(path).fields
    strings = lambda name: [bytes(fields[name].parts[i]).decode() for i in fields[name].data]
    vocab = {token: i for i, token in enumerate(strings("tokenizer.ggml.tokens"))}
    merges = [tuple(merge.split(" ")) for merge in strings("tokenizer.ggml.merges")]
    out = Tokenizer(models.BPE(vocab, merges))
    out.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    return out


def token_ids(conclave, path, oracle, text):
    ours = subprocess.run([conclave, "tokenize", path], input=text.encode(), check=True, capture_output=True).stdout
    ids, expected = [int(i) for i in ours.split()], oracle.encode(text).ids
    if ids != expected:
        sys.exit(f"{text!r}: conclave tokenizes to {ids}, tokenizers to {expected}")
    return ids


def greedy(model, ids):
    out, gaps, past, step = [], [], None, torch.tensor([ids])
    for _ in range(GREEDY):
        result = model(step, past_key_values=past, use_cache=True)
        past = result.past_key_values
        best, index = result.logits[0, -1].topk(2)
        out.append(int(index[0]))
        gaps.append(round(float(best[0] - best[1]), 7))
        step = index[:1][None]
    return out, gaps


def main():
    path, prompts, conclave, out = sys.argv[1:5]
    torch.set_num_threads(2)
    model = load(path)
    oracle, records, tensors = tokenizer(path), [], {}
    with torch.no_grad():
        for i, text in enumerate(json.load(open(prompts))):
            ids = token_ids(conclave, path, oracle, text)
            tensors[f"logits.{i}"] = model(torch.tensor([ids])).logits[0].contiguous()
            tokens, gaps = greedy(model, ids)
            records.append({"prompt": text, "ids": ids, "greedy": tokens, "greedy_gaps": gaps})
    os.makedirs(out, exist_ok=True)
    save_file(tensors, os.path.join(out, "golden.safetensors"))
    json.dump(records, open(os.path.join(out, "golden.json"), "w"), ensure_ascii=False, indent=1)


if __name__ == "__main__":
    main()
