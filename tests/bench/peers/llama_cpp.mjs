// node llama_cpp.mjs MODEL.gguf [--threads N] [--samples N]: what llama.cpp, as node-llama-cpp carries it, makes of a model: prompt of
// 512 tokens, 64 tokens one after the other, four streams, 20 tokens on a prefix of 961, loading, memory. Prints one JSON object in the
// words of `conclave bench --json`. `pairs.mjs` runs it beside the engine.
import { getLlama } from "node-llama-cpp";
import { readFileSync, statSync } from "node:fs";

const [file, ...rest] = process.argv.slice(2);
const option = (name, fallback) => {
  const at = rest.indexOf(name);
  return at < 0 ? fallback : Number(rest[at + 1]);
};
const threads = option("--threads", 2), samples = option("--samples", 5);
const kPrompt = 512, kDecode = 64, kStreams = 4, kPrefix = 961, kNew = 20;

const median = (values) => [...values].sort((a, b) => a - b)[values.length >> 1];
const seconds = () => Number(process.hrtime.bigint()) * 1e-9;
const peakBytes = () => Number(/VmHWM:\s+(\d+)/.exec(readFileSync("/proc/self/status", "utf8"))[1]) * 1024;

const llama = await getLlama({ gpu: false, build: "never", logLevel: "error", maxThreads: threads });
const before = peakBytes();
const begin = seconds();
const model = await llama.loadModel({ modelPath: file, gpuLayers: 0, useMmap: false });
const loading = [seconds() - begin];
const peak = peakBytes() - before;
const context = await model.createContext({
  contextSize: 1024, batchSize: kPrompt, sequences: kStreams, threads: { ideal: threads, min: threads }, flashAttention: true,
});
const vocabulary = model.fileInsights ? model.tokenizer && model.fileInfo.metadata.tokenizer.ggml.tokens.length : 0;
const ids = [];
for (let state = 7n; ids.length < 2048; ) {
  state = BigInt.asUintN(64, state * 6364136223846793005n + 1442695040888963407n);
  ids.push(Number((state >> 33n) % BigInt(vocabulary)));
}

async function generate(sequence, first, count) {
  let done = 0;
  for await (const _ of sequence.evaluate([first], { temperature: 0, yieldEogToken: true })) {
    if (++done >= count) break;
  }
  return done;
}

const prefill = [], decode = [], streams = [], goOn = [], headless = [];
const sequences = Array.from({ length: kStreams }, () => context.getSequence());
for (let i = 0; i <= samples; ++i) {
  const one = sequences[0];
  await one.clearHistory();
  let t = seconds();
  await one.evaluateWithoutGeneratingNewTokens(ids.slice(0, kPrompt));
  const promptSpeed = kPrompt / (seconds() - t);
  await one.clearHistory();
  t = seconds();
  const tokens = await generate(one, ids[0], kDecode);
  const decodeSpeed = tokens / (seconds() - t);
  // Without choosing tokens, which costs this binding milliseconds each, and without the head: more than a decode could reach.
  await one.clearHistory();
  t = seconds();
  for (let k = 0; k < kDecode; ++k) await one.evaluateWithoutGeneratingNewTokens([ids[k]]);
  const headlessSpeed = kDecode / (seconds() - t);
  for (const sequence of sequences) await sequence.clearHistory();
  t = seconds();
  const all = await Promise.all(sequences.map((sequence, k) => generate(sequence, ids[k], kDecode / 4)));
  const streamSpeed = all.reduce((a, b) => a + b) / (seconds() - t);
  await one.clearHistory();
  await one.evaluateWithoutGeneratingNewTokens(ids.slice(0, kPrefix));
  t = seconds();
  await one.evaluateWithoutGeneratingNewTokens(ids.slice(kPrefix, kPrefix + kNew));
  const goOnSpeed = kNew / (seconds() - t);
  if (i === 0) continue; // warm
  goOn.push(goOnSpeed);
  prefill.push(promptSpeed);
  decode.push(decodeSpeed);
  headless.push(headlessSpeed);
  streams.push(streamSpeed);
}
const row = (name, unit, values) => ({ name, value: median(values), unit, samples: values.length });
console.log(JSON.stringify({
  model: file, kernels: "llama.cpp", threads,
  rows: [
    row("prefill_512", "tokens/s", prefill), row("decode_0", "tokens/s", decode), row("decode_no_head", "tokens/s", headless),
    row("streams_4", "tokens/s", streams),
    row("go_on", "tokens/s", goOn), row("load", "s", loading), row("peak_memory", "bytes", [peak]),
  ],
  file_bytes: statSync(file).size,
}, null, 2));
await llama.dispose();
