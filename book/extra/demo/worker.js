"use strict";
// Names songs beside the page, so that the page stays responsive: sound in, titles out.

importScripts("ort/ort.wasm.min.js", "sound.js", "search.js");

let job = 0; // the song at hand, as the page counts them
const say = (kind, content) => postMessage({ kind, job, ...content });
let model = null; // a promise, once asked for

/** The bytes of a file beside this one; a `.gz` is unpacked, unless the server did that. */
async function load(path) {
  const response = await fetch(path);
  if (!response.ok) throw new Error(`${path}: the server answers ${response.status}`);
  const bytes = new Uint8Array(await response.arrayBuffer());
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes;
  const unpacked = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(unpacked).arrayBuffer());
}

async function loadModel() {
  say("status", { text: "Loading the model: this is done once …" });
  const [settings, program, picture, word] = await Promise.all(
    ["model/model.json", "ort/ort-wasm-simd.wasm.gz", "model/picture.onnx", "model/word.onnx"].map(load),
  );
  const unpacked = URL.createObjectURL(new Blob([program], { type: "application/wasm" }));
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmPaths = { "ort-wasm-simd.wasm": unpacked, "ort-wasm.wasm": unpacked };
  const start = (graph) => ort.InferenceSession.create(graph, { executionProviders: ["wasm"] });
  return {
    settings: JSON.parse(new TextDecoder().decode(settings)),
    picture: await start(picture),
    word: await start(word),
  };
}

/** The decoder as the step of a search: rows of logits for tokens that go on from `parents`. */
async function stepOf(word, memory) {
  const dim = memory.dims[1];
  let state = { hidden: new Float32Array(dim), cell: new Float32Array(dim) };
  const forward = async (tokens) => {
    const rows = tokens.length;
    const found = await word.run({
      token: new ort.Tensor("int32", Int32Array.from(tokens), [rows]),
      memory,
      hidden_in: new ort.Tensor("float32", state.hidden, [rows, dim]),
      cell_in: new ort.Tensor("float32", state.cell, [rows, dim]),
    });
    state = { hidden: found.hidden.data, cell: found.cell.data };
    const vocab = found.logits.dims[1];
    return tokens.map((_, row) => found.logits.data.subarray(row * vocab, (row + 1) * vocab));
  };
  await forward([-1]); // the picture itself
  return (tokens, parents) => {
    for (const name of ["hidden", "cell"]) {
      const before = state[name];
      state[name] = new Float32Array(parents.length * dim);
      parents.forEach((row, i) => state[name].set(before.subarray(row * dim, (row + 1) * dim), i * dim));
    }
    return forward(tokens);
  };
}

async function nameSong({ job: number, channels, rate, name }) {
  job = number;
  const { settings, picture, word } = await (model = model || loadModel());
  const { songtitle } = globalThis;
  say("status", { text: "Drawing the spectrogram …" });
  const clip = songtitle.clipOf(channels, rate, settings.spectrogram, settings.seconds);
  const drawn = songtitle.spectrogram(clip, settings.spectrogram);
  if (drawn.silent) throw new RangeError("expected sound, got silence; choose another file");
  const seen = songtitle.crop(drawn, settings.crop, name, settings.seed);
  say("picture", { ...drawn, left: seen.left, size: seen.size });
  say("status", { text: "Looking for titles …" });
  const { size } = seen;
  const input = new ort.Tensor("float32", seen.pixels, [size, size]);
  const { memory } = await picture.run({ picture: input });
  const step = await stepOf(word, memory);
  const found = await songtitle.beamSearch(step, settings.search, settings.ids);
  const titles = found.map(({ tokens, total }) => ({
    title: tokens.map((id) => settings.words[id - 4]).join(" "),
    logProb: total,
  }));
  say("titles", { titles });
}

let before = Promise.resolve(); // one song after another
onmessage = ({ data }) => {
  before = before
    .then(() => nameSong(data))
    .catch((error) => {
      if (!(error instanceof RangeError)) model = null; // try loading again with the next song
      say("error", { text: error.message });
    });
};
