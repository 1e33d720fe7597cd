// node pairs.mjs CONCLAVE MODEL.gguf [--pairs N] [--threads N]: the engine and llama.cpp in turn, N times (5), and the medians of both
// beside their ratio (above 1: the engine is faster or needs less). Two samples of each figure a run, after a warm one, so that both
// see the same minutes of a shared machine. Needs node-llama-cpp where node finds it: `npm install node-llama-cpp@3.22.1`.
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";

const [conclave, model, ...rest] = process.argv.slice(2);
const option = (name, fallback) => {
  const at = rest.indexOf(name);
  return at < 0 ? fallback : rest[at + 1];
};
const pairs = Number(option("--pairs", "5")), threads = option("--threads", "2");
const names = ["prefill_512", "decode_0", "streams_4", "go_on", "load", "peak_memory"];
// The engine's whole decode against llama.cpp's without head and choice.
const rows = [...names.slice(0, 2), "decode_no_head", ...names.slice(2)];
const peer = fileURLToPath(new URL("llama_cpp.mjs", import.meta.url));
const json = (program, args) => JSON.parse(execFileSync(program, args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }));
const median = (values) => [...values].sort((a, b) => a - b)[values.length >> 1];

const ours = {}, theirs = {}, ratios = {}, shares = {};
for (let i = 0; i < pairs; ++i) {
  const a = json(conclave, ["bench", model, "--json", "--samples", "2", "--threads", threads, "--rows", ...names]).rows;
  const b = json(process.execPath, [peer, model, "--samples", "2", "--threads", threads]).rows;
  for (const name of rows) {
    const mine = a.find((row) => row.name === (name === "decode_no_head" ? "decode_0" : name)), other = b.find((row) => row.name === name);
    if (mine === undefined || mine.samples === 0 || other === undefined) continue;
    (ours[name] ??= []).push(mine.value);
    (theirs[name] ??= []).push(other.value);
    (shares[name] ??= []).push(mine.share);
    (ratios[name] ??= []).push(mine.unit === "tokens/s" ? mine.value / other.value : other.value / mine.value);
  }
}
console.log(`${model}, ${pairs} pairs, ${threads} threads`);
for (const name of rows)
  if (ours[name])
    console.log(`${name.padEnd(14)} conclave ${median(ours[name]).toPrecision(4).padStart(9)}  llama.cpp ${median(theirs[name])
      .toPrecision(4).padStart(9)}  ratio ${median(ratios[name]).toFixed(2)} [${Math.min(...ratios[name]).toFixed(2)}-${Math.max(
      ...ratios[name]).toFixed(2)}]  share of limit ${(100 * median(shares[name])).toFixed(0)} %`);
