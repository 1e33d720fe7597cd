#!/usr/bin/env python3
"""Makes the seeds of gguf_fuzz, safetensors_fuzz and adapter_fuzz: small right files of every kind that the readers know. Adapters
are those of ../../fixtures/adapters as PEFT wrote them, cut to the shapes of the small models of adapter_fuzz.

    python3 make.py
"""
import json
import pathlib
import struct

HERE = pathlib.Path(__file__).parent
SIZES = {0: (1, 4), 1: (1, 2), 2: (32, 18), 8: (32, 34), 12: (256, 144), 23: (256, 136), 30: (1, 2), 39: (32, 17)}


def text(s):
    return struct.pack("<Q", len(s.encode())) + s.encode()


def key(name, kind, data):
    return text(name) + struct.pack("<I", kind) + data


def array(name, kind, count, data):
    return key(name, 9, struct.pack("<IQ", kind, count) + data)


def gguf(version, keys, tensors, alignment=32):
    info, data = b"", b""
    for name, dims, kind in tensors:
        values, size = SIZES[kind]
        count = 1
        for d in dims:
            count *= d
        info += text(name) + struct.pack("<I", len(dims)) + b"".join(struct.pack("<Q", d) for d in dims)
        info += struct.pack("<IQ", kind, len(data))
        data += bytes(i % 251 for i in range(count // values * size))
        data += bytes(-len(data) % alignment)
    head = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(keys)) + b"".join(keys) + info
    return head + bytes(-len(head) % alignment) + data


def vocabulary(model):
    tokens = ["<unk>", "<s>", "</s>"] + [f"<0x{i:02X}>" for i in range(256)] + ["a", "b", "ab", "\u2581"]
    if model == "gpt2":
        tokens = [chr(c) for c in [*range(33, 127), *range(161, 173), *range(174, 256)]] + [chr(256 + i) for i in range(68)] + ["ab", "<s>"]
    keys = [key("general.architecture", 8, text("llama")), key("tokenizer.ggml.model", 8, text(model)),
            array("tokenizer.ggml.tokens", 8, len(tokens), b"".join(map(text, tokens)))]
    if model == "gpt2":
        keys += [key("tokenizer.ggml.pre", 8, text("gpt-2")), array("tokenizer.ggml.merges", 8, 1, text("a b"))]
        kinds = [1] * (len(tokens) - 1) + [3]
    else:
        keys.append(array("tokenizer.ggml.scores", 6, len(tokens), struct.pack(f"<{len(tokens)}f", *range(len(tokens)))))
        kinds = [2, 3, 3] + [6] * 256 + [1] * 4
    keys.append(array("tokenizer.ggml.token_type", 5, len(tokens), struct.pack(f"<{len(tokens)}i", *kinds)))
    keys.append(key("tokenizer.ggml.bos_token_id", 4, struct.pack("<I", 1)))
    return keys


def safetensors(header, size):
    data = json.dumps(header).encode()
    return struct.pack("<Q", len(data)) + data + bytes(size)


# Sizes of the fixtures' models and of adapter_fuzz's: model -> (its number there, rank, {size: size}).
CUTS = {"qwen3-moe-tiny": (0, 16, {64: 8, 32: 4, 96: 8, 48: 4, 16: 4, 512: 16}), "mixtral-tiny": (1, 8, {64: 8, 96: 6, 192: 12, 32: 4, 8: 4}),
        "olmoe-tiny": (2, 16, {64: 8, 32: 4, 16: 4, 512: 16}), "deepseek-v3-tiny": (3, 16, {64: 8, 32: 4, 96: 8, 40: 6, 24: 8, 160: 8, 16: 4})}
EXPERTS = 4


def cut(folder, header, data):
    """The tensors of layers 0 and 1 with fewer experts, inputs and outputs; what has no size here keeps its own."""
    _, experts, sizes = CUTS[folder.parent.name]
    fused = json.loads((folder / "adapter_config.json").read_text()).get("target_parameters")
    out, body = {"__metadata__": {"format": "pt"}}, b""
    for name, info in sorted(header.items()):
        if name == "__metadata__" or not any(f"layers.{layer}." in name for layer in (0, 1)):
            continue
        if ".mlp.experts." in name and name.split(".mlp.experts.")[1][0].isdigit() and int(name.split(".mlp.experts.")[1].split(".")[0]) >= EXPERTS:
            continue
        shape, is_a = info["shape"], ".lora_A" in name
        of_all = fused and (".experts.lora_" in name or ".experts.base_layer.lora_" in name)
        ranks = shape[0 if is_a else 1] // experts * EXPERTS if of_all else shape[0 if is_a else 1]
        new = [ranks, sizes.get(shape[1], shape[1])] if is_a else [sizes.get(shape[0], shape[0]), ranks]
        begin = info["data_offsets"][0]
        rows = b"".join(data[begin + 4 * (i * shape[1]):][:4 * new[1]] for i in range(new[0]))
        out[name] = {"dtype": "F32", "shape": new, "data_offsets": [len(body), len(body) + len(rows)]}
        body += rows
    text = json.dumps(out).encode()
    return struct.pack("<Q", len(text)) + text + body


def adapters():
    (HERE / "adapter_fuzz").mkdir(exist_ok=True)
    for config in sorted((HERE.parent.parent / "fixtures/adapters").glob("*/*/adapter_config.json")):
        folder = config.parent
        raw = (folder / "adapter_model.safetensors").read_bytes()
        length, = struct.unpack("<Q", raw[:8])
        weights = cut(folder, json.loads(raw[8:8 + length]), raw[8 + length:])
        said = json.dumps({k: v for k, v in json.loads(config.read_text()).items() if v not in (None, False, [], {})}).encode()
        start = bytes([CUTS[folder.parent.name][0] << 1]) + struct.pack("<H", len(said))
        (HERE / "adapter_fuzz" / f"{folder.parent.name}-{folder.name}").write_bytes(start + said + weights)
    keys = lambda name, *more: [key("general.architecture", 8, text(name)), key("general.type", 8, text("adapter")),
                                key("adapter.type", 8, text("lora")), key("adapter.lora.alpha", 6, struct.pack("<f", 4)), *more]
    pair = lambda name, rank, columns, rows, kind=0, stack=(): [(f"{name}.weight.lora_a", (columns, rank, *stack), kind),
                                                               (f"{name}.weight.lora_b", (rank, rows, *stack), kind)]
    tokens = array("adapter.alora.invocation_tokens", 4, 2, struct.pack("<II", 1, 2))
    for name, number, data in [
        ("llama", 1, gguf(3, keys("llama", tokens), pair("blk.0.attn_q", 2, 8, 8) + pair("blk.1.ffn_gate_exps", 2, 8, 6, 30, (EXPERTS,)))),
        ("qwen3moe", 0, gguf(3, keys("qwen3moe"), pair("blk.0.attn_output", 3, 8, 8, 30) + pair("blk.0.ffn_down_exps", 1, 4, 8, 0, (EXPERTS,)))),
        ("deepseek2", 3, gguf(3, keys("deepseek2"), pair("blk.0.attn_k_b", 2, 4, 4, 0, (2,)) + pair("blk.0.attn_v_b", 2, 4, 4, 0, (2,)))),
        ("deepseek2-whole", 3, gguf(3, keys("deepseek2"), pair("blk.1.attn_kv_b", 2, 4, 16) + pair("output", 2, 8, 16))),
    ]:
        (HERE / "adapter_fuzz" / f"gguf-{name}").write_bytes(bytes([number << 1 | 1]) + data)


def main():
    adapters()
    scalars = [key("u8", 0, b"\1"), key("i8", 1, b"\xff"), key("u16", 2, b"\1\2"), key("i16", 3, b"\1\2"), key("u32", 4, b"\1\2\3\4"),
               key("i32", 5, b"\1\2\3\4"), key("f32", 6, struct.pack("<f", 0.5)), key("bool", 7, b"\1"), key("text", 8, text("x")),
               key("u64", 10, bytes(8)), key("i64", 11, bytes(8)), key("f64", 12, struct.pack("<d", 0.1))]
    arrays = [array("a8", 0, 3, b"\1\2\3"), array("at", 8, 2, text("a") + text("")), array("ab", 7, 2, b"\0\1"), array("ai", 5, 1, bytes(4)),
              array("af", 6, 1, bytes(4)), array("ad", 12, 1, bytes(8)), array("none", 4, 0, b"")]
    formats = [(f"blk.{kind}.w.weight", (SIZES[kind][0] * 2, 2), kind) for kind in SIZES]
    for name, data in {
        "scalars": gguf(3, scalars, []), "arrays": gguf(2, arrays, []), "formats": gguf(3, scalars[:2], formats),
        "aligned": gguf(3, [key("general.alignment", 4, struct.pack("<I", 64))], [("a", (3,), 0), ("b", (2, 2, 2), 1)], 64),
        "gpt2": gguf(3, vocabulary("gpt2"), [("token_embd.weight", (4, 4), 0)]), "llama": gguf(3, vocabulary("llama"), []),
    }.items():
        (HERE / "gguf_fuzz" / name).write_bytes(data)
    t = lambda dtype, shape, a, b: {"dtype": dtype, "shape": shape, "data_offsets": [a, b]}
    for name, data in {
        "one": safetensors({"a": t("F32", [2, 2], 0, 16)}, 16),
        "types": safetensors({"__metadata__": {"format": "pt"}, "a": t("F16", [2], 0, 4), "b": t("BF16", [1, 2], 4, 8), "c": t("F8_E4M3", [3], 8, 11),
                              "d": t("U8", [], 11, 12), "e": t("I32", [1], 12, 16), "f": t("I64", [1], 16, 24)}, 24),
        "empty": safetensors({}, 0), "wrong": safetensors({"a": t("F64", [2], 0, 16)}, 16),
    }.items():
        (HERE / "safetensors_fuzz" / name).write_bytes(data)


if __name__ == "__main__":
    main()
