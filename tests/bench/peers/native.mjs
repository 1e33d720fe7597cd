// node native.mjs CONCLAVE LLAMA_BIN MODEL.gguf [--pairs N] [--threads N] [--deep]: the engine and llama.cpp's own programs (llama-bench,
// llama-batched-bench) in turn, N times (3), and the medians of both beside their ratio (above 1: the engine is faster). No binding
// stands between. --deep: instead of what starts at nothing, 20 tokens behind 961 and decoding behind 4,096. Where llama.cpp's source comes from, by name, and how it is built:
//   pip download --no-deps --no-binary :all: llama-cpp-python==0.3.36 && tar xzf llama_cpp_python-*.tar.gz
//   cd llama_cpp_python-*/vendor/llama.cpp && cmake -B build -DCMAKE_BUILD_TYPE=Release -DLLAMA_CURL=OFF -DLLAMA_BUILD_SERVER=OFF
//   cmake --build build --target llama-bench llama-batched-bench      # LLAMA_BIN is build/bin
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";

const [conclave, llama, model, ...rest] = process.argv.slice(2);
const option = (name, fallback) => {
  const at = rest.indexOf(name);
  return at < 0 ? fallback : rest[at + 1];
};
if (model === undefined || !existsSync(`${llama}/llama-bench`)) {
  console.error("usage: node native.mjs CONCLAVE LLAMA_BIN MODEL.gguf [--pairs N] [--threads N] [--deep]; LLAMA_BIN is the folder with llama-bench,");
  console.error("and the first lines of this file say how to build it");
  process.exit(2);
}
const deep = rest.includes("--deep");
const pairs = Number(option("--pairs", "3")), threads = option("--threads", "2");
const run = (program, args) => execFileSync(program, args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
const median = (values) => [...values].sort((a, b) => a - b)[values.length >> 1];

// Weights in memory of its own, repacked, as the engine has them.
const common = ["-lm", "none", "-m", model, "-t", threads];
const theirs = () => {
  const alone = JSON.parse(run(`${llama}/llama-bench`, [...common, "-p", "512", "-n", "64", "-fa", "1", "-r", "2", "-o", "json"]));
  const table = run(`${llama}/llama-batched-bench`, [...common, "-c", "2048", "-b", "512", "-ub", "512", "-npp", "128", "-ntg", "64",
    "-npl", "4", "-fa", "on"]).split("\n").filter((line) => line.startsWith("|"));
  const cells = (line) => line.split("|").map((cell) => cell.trim());
  return {
    prefill_512: alone.find((row) => row.n_prompt === 512).avg_ts,
    decode_0: alone.find((row) => row.n_gen === 64).avg_ts,
    streams_4: Number(cells(table.at(-1))[cells(table[0]).indexOf("S_TG t/s")]),
  };
};

const theirsDeep = () => {
  const speed = (...args) => JSON.parse(run(`${llama}/llama-bench`, [...common, "-fa", "1", "-r", "1", "-o", "json", ...args]))[0].avg_ts;
  return { go_on: speed("-p", "20", "-n", "0", "-d", "961"), decode_4096: speed("-p", "0", "-n", "32", "-d", "4096") };
};

const names = deep ? ["go_on", "decode_4096"] : ["prefill_512", "decode_0", "streams_4"], all = Object.fromEntries(names.map((name) => [name, []]));
for (let i = 0; i < pairs; ++i) {
  const b = deep ? theirsDeep() : theirs();
  const a = JSON.parse(run(conclave, ["bench", model, "--json", "--samples", "5", "--threads", threads, "--rows", names.join(",")])).rows;
  for (const name of names) {
    const mine = a.find((row) => row.name === name);
    all[name].push({ mine: mine.value, other: b[name], ratio: mine.value / b[name], share: mine.share });
  }
}
console.log(`${model}, ${pairs} pairs, ${threads} threads`);
for (const name of names) {
  const of = (key) => all[name].map((pair) => pair[key]);
  console.log(`${name.padEnd(12)} conclave ${median(of("mine")).toPrecision(4).padStart(7)}  llama.cpp ${median(of("other")).toPrecision(4)
    .padStart(7)}  ratio ${median(of("ratio")).toFixed(2)} [${Math.min(...of("ratio")).toFixed(2)}-${Math.max(...of("ratio")).toFixed(2)
    }]  share of limit ${(100 * median(of("share"))).toFixed(0)} %`);
}
