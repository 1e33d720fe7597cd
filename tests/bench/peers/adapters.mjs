// node adapters.mjs MODEL.gguf ADAPTER.gguf GOLDEN.json: whether llama.cpp, as node-llama-cpp carries it, answers the golden prompts
// greedily with the tokens that the golden file says. ADAPTER may be "none". A step whose gap is below 0.05 ends a prompt's
// comparison: llama.cpp stores keys and values as F16.
import { getLlama } from "node-llama-cpp";
import { readFileSync } from "node:fs";

const [file, adapter, goldenFile] = process.argv.slice(2);
const kClearGap = 0.05;
const llama = await getLlama({ gpu: false, build: "never", logLevel: "error", maxThreads: 2 });
const model = await llama.loadModel({ modelPath: file, gpuLayers: 0 });
const lora = adapter === "none" ? undefined : { adapters: [{ filePath: adapter, scale: 1 }] };
let same = 0, all = 0;
for (const prompt of JSON.parse(readFileSync(goldenFile, "utf8"))) {
  const context = await model.createContext({ contextSize: 256, batchSize: 256, lora, flashAttention: false });
  const sequence = context.getSequence();
  let step = 0;
  for await (const token of sequence.evaluate(prompt.ids, { temperature: 0, yieldEogToken: true })) {
    if (step >= prompt.greedy.length || prompt.greedy_gaps[step] < kClearGap) break;
    ++all;
    if (token === prompt.greedy[step]) ++same;
    else break;
    ++step;
  }
  await context.dispose();
}
console.log(`${same} of ${all} greedy tokens agree`);
process.exit(same === all && all > 0 ? 0 : 1);
